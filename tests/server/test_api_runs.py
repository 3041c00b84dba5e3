from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support.serving import Served, serving

SEE = " See the API docs for more information about request parameters."


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("server")) as served:
        yield served


def test_a_new_run_looks_as_mlflow_shows_it(server: Served) -> None:
    answer = server.post(
        "runs/create",
        {
            "experiment_id": "0",
            "user_id": "ada",
            "run_name": "first",
            "start_time": 123,
            "tags": [{"key": "k", "value": "v"}],
            "unknown": 1,
        },
    )
    run = answer.json["run"]
    run_id = run["info"]["run_id"]
    assert run["info"] == {
        "run_id": run_id,
        "run_uuid": run_id,
        "run_name": "first",
        "experiment_id": "0",
        "user_id": "ada",
        "status": "RUNNING",
        "start_time": 123,
        "artifact_uri": f"mlflow-artifacts:/0/{run_id}/artifacts",
        "lifecycle_stage": "active",
    }
    assert (run["inputs"], run["outputs"]) == ({}, {})
    assert {"key": "k", "value": "v"} in run["data"]["tags"]
    assert answer.headers["content-type"] == "application/json"


def test_nan_and_infinities_travel_as_texts(server: Served) -> None:
    run_id = server.new_run()
    for key, value in {"a": "NaN", "b": "Infinity", "c": float("nan")}.items():
        point = {"run_id": run_id, "key": key, "value": value, "timestamp": 1}
        assert server.post("runs/log-metric", point).json == {}
    metrics = server.get("runs/get", run_id=run_id).json["run"]["data"]["metrics"]
    values = {metric["key"]: metric["value"] for metric in metrics}
    assert (values["a"], values["c"]) == ("NaN", "NaN")


def test_a_doubly_encoded_body_is_read(server: Served) -> None:
    body = json.dumps({"run_uuid": server.new_run(), "key": "a", "value": "b"})
    assert server.post("runs/set-tag", body).json == {}


REFUSED: dict[str, tuple[str, dict[str, object], str]] = {
    "no run id": (
        "runs/log-metric",
        {"key": "a", "value": 1, "timestamp": 1},
        f"Missing value for required parameter 'run_id'.{SEE}",
    ),
    "no timestamp": (
        "runs/log-metric",
        {"run_id": "r", "key": "a", "value": 1},
        f"Missing value for required parameter 'timestamp'.{SEE}",
    ),
    "wrong type": (
        "runs/create",
        {"experiment_id": 1},
        "Invalid value 1 for parameter 'experiment_id' supplied:  "
        f"Hint: Value was of type 'int'.{SEE}",
    ),
    "missing in a batch": (
        "runs/log-batch",
        {"run_id": "r", "metrics": [{"key": "a", "value": 1}]},
        f"Missing value for required parameter 'metrics[0].timestamp'.{SEE}",
    ),
    "a param twice": (
        "runs/log-batch",
        {"run_id": "r", "params": [{"key": "a", "value": "1"}, {"key": "a", "value": "1"}]},
        "Duplicate parameter keys have been submitted: ['a']. Please ensure "
        "the request contains only one param value per param key.",
    ),
    "page too large": (
        "runs/search",
        {"experiment_ids": ["0"], "max_results": 50001},
        "Invalid value 50001 for parameter 'max_results' supplied. It must be at most 50000.",
    ),
    "outputs without models": (
        "runs/outputs",
        {"run_id": "r"},
        f"Missing value for required parameter 'models'.{SEE}",
    ),
    "model that is no JSON": (
        "runs/log-model",
        {"run_id": "r", "model_json": "{"},
        "Malformed model info. \n { \n is not a valid JSON.",
    ),
    "model without fields": (
        "runs/log-model",
        {"run_id": "r", "model_json": '{"run_id": "r"}'},
        "Model json is missing mandatory fields: ['artifact_path', 'flavors', 'utc_time_created']",
    ),
}


@pytest.mark.parametrize(("path", "body", "message"), REFUSED.values(), ids=REFUSED)
def test_a_bad_request_is_refused_in_mlflows_words(
    path: str, body: dict[str, object], message: str, server: Served
) -> None:
    answer = server.post(path, body)
    assert answer.status == 400
    assert answer.json == {"error_code": "INVALID_PARAMETER_VALUE", "message": message}


def test_a_body_must_be_declared_as_json(server: Served) -> None:
    path = "/api/2.0/mlflow/runs/create"
    answer = server.call("POST", path, b"{}", {"Content-Type": "text/plain"})
    assert answer.status == 400
    assert answer.json["message"] == (
        "Bad Request. Content-Type must be one of ['application/json']."
    )
    answer = server.call("POST", path, b"{}")
    assert answer.json["message"] == "Bad Request. Content-Type header is missing."


@pytest.mark.parametrize("body", [b"{", b"[1]", b"\xff", b"[" * 100_000, b'"{"'])
def test_a_body_that_is_no_json_object_is_refused(body: bytes, server: Served) -> None:
    kind = {"Content-Type": "application/json"}
    answer = server.call("POST", "/api/2.0/mlflow/runs/create", body, kind)
    assert (answer.status, answer.json["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


def test_a_missing_run_is_not_found(server: Served) -> None:
    answer = server.get("runs/get", run_id="0" * 32)
    assert (answer.status, answer.json["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")


def test_a_history_is_read_in_pages(server: Served) -> None:
    run_id = server.new_run()
    points = [{"key": "loss", "value": n, "timestamp": n, "step": n} for n in range(5)]
    server.post("runs/log-batch", {"run_id": run_id, "metrics": points})
    ask = {"run_id": run_id, "metric_key": "loss"}
    first = server.get("metrics/get-history", **ask, max_results=3).json
    token = first["next_page_token"]
    rest = server.get("metrics/get-history", **ask, max_results=3, page_token=token).json
    assert [point["step"] for point in first["metrics"] + rest["metrics"]] == [0, 1, 2, 3, 4]
    assert "next_page_token" not in rest
    assert len(server.get("metrics/get-history", **ask).json["metrics"]) == 5
    assert server.get("metrics/get-history", **ask, max_results=0).status == 400


def test_a_chart_gets_evenly_chosen_points_of_several_runs(server: Served) -> None:
    runs = [server.new_run(), server.new_run()]
    for run_id in runs:
        points = [{"key": "loss", "value": n, "timestamp": 1, "step": n} for n in range(101)]
        server.post("runs/log-batch", {"run_id": run_id, "metrics": points})
    answer = server.get(
        "metrics/get-history-bulk-interval", run_ids=runs, metric_key="loss", max_results=5
    )
    steps = [(point["run_id"], point["step"]) for point in answer.json["metrics"]]
    assert steps == [(run_id, step) for run_id in runs for step in (0, 25, 50, 75, 100)]
    path = f"/ajax-api/2.0/mlflow/metrics/get-history-bulk?metric_key=loss&run_id={runs[0]}"
    assert len(server.call("GET", path).json["metrics"]) == 101


def test_a_model_of_an_older_client_is_noted_in_a_tag(server: Served) -> None:
    run_id = server.new_run()
    model = {"artifact_path": "m", "flavors": {}, "utc_time_created": "now", "run_id": run_id}
    for _ in range(2):
        server.post("runs/log-model", {"run_id": run_id, "model_json": json.dumps(model)})
    tags = server.tracking.get_run(run_id).tags
    assert json.loads(tags["mlflow.log-model.history"]) == [model, model]
