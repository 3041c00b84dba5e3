"""Traces over HTTP: MLflow's JSON in both forms, and its words for what is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from flowrun.tracking.trace_entities import Span, SpanBatch
from tests.support.serving import Answer, Served, serving

SEE = " See the API docs for more information about request parameters."


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("server")) as served:
        yield served


def call(server: Served, method: str, path: str, body: object = None, version: int = 3) -> Answer:
    content = None if body is None else json.dumps(body).encode()
    kind = {"Content-Type": "application/json"}
    return server.call(method, f"/api/{version}.0/mlflow/{path}", content, kind)


def record(server: Served, trace_id: str, **fields: object) -> Any:  # noqa: ANN401 - JSON
    info = {
        "trace_id": trace_id,
        "trace_location": {
            "type": "MLFLOW_EXPERIMENT",
            "mlflow_experiment": {"experiment_id": "0"},
        },
        "request_time": "2023-11-14T22:13:20.123Z",
        "execution_duration": "1.500s",
        "state": "OK",
        **fields,
    }
    answer = call(server, "POST", "traces", {"trace": {"trace_info": info}})
    assert answer.status == 200, answer.body
    return answer.json["trace"]["trace_info"]


def test_a_trace_looks_as_mlflow_shows_it(server: Served) -> None:
    assert record(server, "tr-look", state=1, tags={"t": "1"}, trace_metadata={"m": "2"}) == {
        "trace_id": "tr-look",
        "trace_location": {
            "type": "MLFLOW_EXPERIMENT",
            "mlflow_experiment": {"experiment_id": "0"},
        },
        "request_time": "2023-11-14T22:13:20.123Z",
        "execution_duration": "1.500s",
        "state": "OK",
        "trace_metadata": {"m": "2"},
        "tags": {
            "t": "1",
            "mlflow.artifactLocation": "mlflow-artifacts:/0/traces/tr-look/artifacts",
        },
    }
    assert call(server, "GET", "traces/tr-look/info", version=2).json == {
        "trace_info": {
            "request_id": "tr-look",
            "experiment_id": "0",
            "timestamp_ms": 1_700_000_000_123,
            "execution_time_ms": 1500,
            "status": "OK",
            "request_metadata": [{"key": "m", "value": "2"}],
            "tags": [
                {
                    "key": "mlflow.artifactLocation",
                    "value": "mlflow-artifacts:/0/traces/tr-look/artifacts",
                },
                {"key": "t", "value": "1"},
            ],
        }
    }


def test_an_old_client_starts_and_ends_a_trace(server: Served) -> None:
    started = call(
        server,
        "POST",
        "traces",
        {
            "experiment_id": "0",
            "timestamp_ms": "5000",
            "request_metadata": [{"key": "a", "value": "1"}],
            "tags": [{"key": "mlflow.traceName", "value": "old"}],
        },
        version=2,
    ).json["trace_info"]
    assert (started["status"], started["execution_time_ms"]) == ("IN_PROGRESS", 0)
    ended = call(
        server,
        "PATCH",
        f"traces/{started['request_id']}",
        {"timestamp_ms": 5100, "status": "ERROR"},
        version=2,
    ).json["trace_info"]
    assert (ended["status"], ended["execution_time_ms"]) == ("ERROR", 100)
    for path in ("traces", "unified-traces"):
        found = server.get(path, experiment_ids="0", filter="name = 'old'", max_results=5)
        assert [item["request_id"] for item in found.json["traces"]] == [started["request_id"]]


def test_the_browser_gets_the_spans_as_a_file(server: Served) -> None:
    span = Span("tr-" + "5" * 32, "1" * 16, "root", 1, attributes={"a": [1, "ü"]})
    server.traces.log_spans("0", [SpanBatch((span,))])
    path = f"/ajax-api/3.0/mlflow/get-trace-artifact?request_id={span.trace_id}"
    answer = server.call("GET", path)
    assert answer.headers["content-disposition"] == 'attachment; filename="traces.json"'
    (stored,) = answer.json["spans"]
    assert stored["attributes"]["a"] == '[1, "ü"]'
    assert stored["parent_span_id"] is None


def test_spans_that_were_uploaded_come_from_the_artifacts(server: Served) -> None:
    record(server, "tr-file")
    at = "/api/2.0/mlflow-artifacts/artifacts/0/traces/tr-file/artifacts"
    for name, content in (("traces.json", b'{"spans": []}'), ("attachments/a.txt", b"x")):
        assert server.call("PUT", f"{at}/{name}", content).status == 200
    path = "/ajax-api/2.0/mlflow/get-trace-artifact?request_id=tr-file"
    assert server.call("GET", path).body == b'{"spans": []}'
    assert server.call("GET", f"{path}&path=a.txt").body == b"x"
    climbing = server.call("GET", f"{path}&path=../../../../secret")
    assert (climbing.status, climbing.json["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    answer = call(server, "GET", "traces/get?trace_id=tr-file")
    assert (answer.status, answer.json["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")


def test_a_location_outside_is_not_read_through_a_tag(server: Served) -> None:
    record(server, "tr-tag")
    tag = {"key": "mlflow.artifactLocation", "value": "file:///etc"}
    assert call(server, "PATCH", "traces/tr-tag/tags", tag).status == 200
    path = "/ajax-api/3.0/mlflow/get-trace-artifact?request_id=tr-tag&path=passwd"
    assert server.call("GET", path).status == 403


def test_filters_are_correlated(server: Served) -> None:
    for number in range(4):
        tags = {"group": "c", **({"x": "1"} if number < 2 else {"y": "1"})}
        record(server, f"tr-cor-{number}", tags=tags)
    body = {
        "experiment_ids": ["0"],
        "filter_string1": "tags.x = '1'",
        "filter_string2": "tags.y = '1'",
        "base_filter": "tags.group = 'c'",
    }
    answer = call(server, "POST", "traces/calculate-filter-correlation", body).json
    assert {key: answer[key] for key in ("npmi", "filter1_count", "total_count")} == {
        "npmi": -1.0,
        "filter1_count": 2,
        "total_count": 4,
    }
    body["filter_string2"] = "tags.x = '1'"
    assert call(server, "POST", "traces/calculate-filter-correlation", body).json["npmi"] == 1.0
    body["filter_string2"] = "tags.z = '1'"
    assert call(server, "POST", "traces/calculate-filter-correlation", body).json["npmi"] == "NaN"


def test_an_assessment_changes_where_the_mask_says(server: Served) -> None:
    record(server, "tr-mask")
    at = "traces/tr-mask/assessments"
    made = call(
        server,
        "POST",
        at,
        {"assessment": {"assessment_name": "f", "feedback": {"value": {"a": [1]}}}},
    ).json["assessment"]
    assert made["source"] == {"source_type": "SOURCE_TYPE_UNSPECIFIED", "source_id": "default"}
    changed = call(
        server,
        "PATCH",
        f"{at}/{made['assessment_id']}",
        {
            "assessment": {"assessment_name": "g", "rationale": "r", "metadata": {"k": "v"}},
            "update_mask": "assessmentName,metadata",
        },
    ).json["assessment"]
    assert (changed["assessment_name"], changed["metadata"]) == ("g", {"k": "v"})
    assert "rationale" not in changed
    assert changed["feedback"] == {"value": {"a": [1]}}


def assessment(**fields: object) -> dict[str, object]:
    return {"assessment": {"assessment_name": "f", **fields}}


DEEP: object = 1
for _ in range(70):
    DEEP = [DEEP]
REFUSED: dict[str, tuple[str, str, object, str]] = {
    "no trace": ("POST", "traces", {}, f"Missing value for required parameter 'trace'.{SEE}"),
    "no trace id": (
        "POST",
        "traces",
        {"trace": {"trace_info": {}}},
        f"Missing value for required parameter 'trace.trace_info.trace_id'.{SEE}",
    ),
    "no location": (
        "POST",
        "traces",
        {"trace": {"trace_info": {"trace_id": "tr-1"}}},
        "Missing value for required parameter "
        f"'trace.trace_info.trace_location.mlflow_experiment.experiment_id'.{SEE}",
    ),
    "time that is none": (
        "POST",
        "traces",
        {"trace": {"trace_info": {"trace_id": "t", "request_time": "2023-99-14T22:13:20Z"}}},
        "Invalid value \"2023-99-14T22:13:20Z\" for parameter 'request_time' supplied.",
    ),
    "page too large": (
        "POST",
        "traces/search",
        {"locations": [], "max_results": 501},
        "Invalid value 501 for parameter 'max_results' supplied. It must be at most 500",
    ),
    "filter": (
        "POST",
        "traces/search",
        {"locations": [], "filter": "status = 'OK' OR status = 'ERROR'"},
        "Invalid clause(s) in filter string: 'OR'",
    ),
    "neither feedback nor expectation": (
        "POST",
        "traces/tr-r/assessments",
        assessment(),
        "Exactly one of `expectation`, `feedback`, or `issue` should be specified.",
    ),
    "value too deep": (
        "POST",
        "traces/tr-r/assessments",
        assessment(feedback={"value": DEEP}),
        "Invalid value for parameter 'feedback.value' supplied: it must be JSON without NaN and "
        "infinities, with at most 64 levels.",
    ),
    "value nan": (
        "POST",
        "traces/tr-r/assessments",
        assessment(feedback={"value": float("nan")}),
        "Invalid value for parameter 'feedback.value' supplied: it must be JSON without NaN and "
        "infinities, with at most 64 levels.",
    ),
    "serialized in another way": (
        "POST",
        "traces/tr-r/assessments",
        assessment(expectation={"serialized_value": {"serialization_format": "YAML"}}),
        "Unknown serialization format: YAML. Only JSON_FORMAT is supported.",
    ),
    "source of another type": (
        "POST",
        "traces/tr-r/assessments",
        assessment(feedback={"value": 1}, source={"source_type": "CAT"}),
        "Invalid value 'CAT' for parameter 'source_type' supplied. "
        "It must be one of SOURCE_TYPE_UNSPECIFIED, HUMAN, LLM_JUDGE, CODE.",
    ),
    "no mask": (
        "PATCH",
        "traces/tr-r/assessments/a-1",
        assessment(),
        f"Missing value for required parameter 'update_mask'.{SEE}",
    ),
    "tag without key": (
        "PATCH",
        "traces/tr-r/tags",
        {"value": "x"},
        f"Missing value for required parameter 'key'.{SEE}",
    ),
    "deletion of nothing": (
        "POST",
        "traces/delete-traces",
        {"experiment_id": "0"},
        "Either `max_timestamp_millis` or `trace_ids` must be specified.",
    ),
}


@pytest.mark.parametrize(("method", "path", "body", "message"), REFUSED.values(), ids=REFUSED)
def test_a_bad_request_is_refused_in_mlflows_words(
    method: str, path: str, body: object, message: str, server: Served
) -> None:
    record(server, "tr-r")
    answer = call(server, method, path, body)
    assert (answer.status, answer.json) == (
        400,
        {"error_code": "INVALID_PARAMETER_VALUE", "message": message},
    )


def test_a_time_that_can_not_be_written_is_refused(server: Served) -> None:
    body = {"experiment_id": "0", "timestamp_ms": 2**62}
    assert call(server, "POST", "traces", body, version=2).status == 400


def test_a_missing_trace_is_not_found_in_any_way(server: Served) -> None:
    for method, path, version in (
        ("GET", "traces/tr-none", 3),
        ("GET", "traces/get?trace_id=tr-none", 3),
        ("GET", "traces/tr-none/info", 2),
        ("GET", "traces/tr-none/assessments/a-1", 3),
        ("DELETE", "traces/tr-none/assessments/a-1", 3),
    ):
        answer = call(server, method, path, {} if method == "DELETE" else None, version)
        assert (answer.status, answer.json["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST"), path
    assert call(server, "GET", "traces/batchGet?trace_ids=tr-none").json == {}
