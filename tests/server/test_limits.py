"""Values at each limit are taken, those past it refused in MLflow's words; so are wrong types."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support.serving import Served, serving

SEE = " See the API docs for more information about request parameters."
JSON = dict[str, object]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("server")) as served:
        served.post("registered-models/create", {"name": "wine"})
        served.post("model-versions/create", {"name": "wine", "source": "s3://b/1"})
        yield served


@pytest.fixture(scope="module")
def run_id(server: Served) -> str:
    return server.new_run()


def said(server: Served, path: str, body: JSON, run_id: str) -> tuple[int, str]:
    """Send a body, with `RUN` standing for a run; give status and message."""
    filled = json.loads(json.dumps(body).replace('"RUN"', json.dumps(run_id)))
    answer = server.post(path, filled)
    return answer.status, answer.json.get("message", "")


def points(count: int) -> list[JSON]:
    return [{"key": "m", "value": 1, "timestamp": n} for n in range(count)]


def pairs(count: int) -> list[JSON]:
    return [{"key": f"k{n}", "value": "v"} for n in range(count)]


def point(**fields: object) -> JSON:
    return {"run_id": "RUN", "key": "m", "value": 1, "timestamp": 1, **fields}


def dataset(**fields: str) -> JSON:
    made = {"name": "n", "digest": "d", "source_type": "s", "source": "s", **fields}
    return {"run_id": "RUN", "datasets": [{"dataset": made}]}


def too_many(what: str, most: int) -> str:
    return (
        f"A batch logging request can contain at most {most} {what}. Got {most + 1} {what}. "
        f"Please split up {what} across multiple requests and try again."
    )


def too_long(what: str, most: int) -> str:
    return f"'{what}' exceeds the maximum length of {most} characters"


TAG: JSON = {"experiment_id": "0", "key": "k", "value": "v"}
VERSION: JSON = {"name": "wine", "version": "1"}

# What is taken, what is one too much, and the words for that.
LIMITS: dict[str, tuple[str, JSON, JSON, str]] = {
    "experiment name": (
        "experiments/create",
        {"name": "x" * 500},
        {"name": "x" * 501},
        too_long("name", 500),
    ),
    "artifact location": (
        "experiments/create",
        {"name": "l", "artifact_location": "s3://b/" + "x" * 2041},
        {"name": "m", "artifact_location": "s3://b/" + "x" * 2042},
        "Invalid artifact path length. "
        "The length of the artifact path cannot be greater than 2048 characters.",
    ),
    "experiment tag key": (
        "experiments/set-experiment-tag",
        {**TAG, "key": "k" * 250},
        {**TAG, "key": "k" * 251},
        too_long("key", 250),
    ),
    "experiment tag value": (
        "experiments/set-experiment-tag",
        {**TAG, "value": "v" * 20_000},
        {**TAG, "value": "v" * 20_001},
        too_long("value", 20_000),
    ),
    "metric key": (
        "runs/log-metric",
        point(key="k" * 250),
        point(key="k" * 251),
        too_long("Metric name", 250),
    ),
    "timestamp": (
        "runs/log-metric",
        point(timestamp=2**63 - 1),
        point(timestamp=2**63),
        f"Invalid value {2**63} for parameter 'timestamp' supplied:  "
        f"Hint: Value was of type 'int'.{SEE}",
    ),
    "step": (
        "runs/log-metric",
        point(step=-(2**63) + 1),
        point(step=-(2**63) - 1),
        f"Invalid value {-(2**63) - 1} for parameter 'step' supplied:  "
        f"Hint: Value was of type 'int'.{SEE}",
    ),
    "param key": (
        "runs/log-parameter",
        {"run_id": "RUN", "key": "p" * 250, "value": "1"},
        {"run_id": "RUN", "key": "p" * 251, "value": "1"},
        too_long("Param key", 250),
    ),
    "run tag key": (
        "runs/set-tag",
        {"run_id": "RUN", "key": "t" * 250, "value": "1"},
        {"run_id": "RUN", "key": "t" * 251, "value": "1"},
        too_long("tags[0].key", 250),
    ),
    "metrics of a batch": (
        "runs/log-batch",
        {"run_id": "RUN", "metrics": points(1000)},
        {"run_id": "RUN", "metrics": points(1001)},
        too_many("metrics", 1000),
    ),
    "params of a batch": (
        "runs/log-batch",
        {"run_id": "RUN", "params": pairs(100)},
        {"run_id": "RUN", "params": pairs(101)},
        too_many("params", 100),
    ),
    "tags of a batch": (
        "runs/log-batch",
        {"run_id": "RUN", "tags": pairs(100)},
        {"run_id": "RUN", "tags": pairs(101)},
        too_many("tags", 100),
    ),
    "all of a batch": (
        "runs/log-batch",
        {"run_id": "RUN", "metrics": points(900), "tags": pairs(100)},
        {"run_id": "RUN", "metrics": points(901), "tags": pairs(100)},
        too_many("metrics, params, and tags", 1000),
    ),
    "dataset name": (
        "runs/log-inputs",
        dataset(name="n" * 500),
        dataset(name="n" * 501),
        too_long("name", 500),
    ),
    "dataset digest": (
        "runs/log-inputs",
        dataset(digest="d" * 36),
        dataset(digest="d" * 37),
        too_long("digest", 36),
    ),
    "dataset source": (
        "runs/log-inputs",
        dataset(source="s" * 65_535),
        dataset(source="s" * 65_536),
        too_long("source", 65_535),
    ),
    "dataset schema": (
        "runs/log-inputs",
        dataset(digest="e", schema="s" * 1_048_575),
        dataset(digest="f", schema="s" * 1_048_576),
        too_long("schema", 1_048_575),
    ),
    "dataset profile": (
        "runs/log-inputs",
        dataset(digest="g", profile="s" * 16_777_215),
        dataset(digest="h", profile="s" * 16_777_216),
        too_long("profile", 16_777_215),
    ),
    "registered model tag": (
        "registered-models/set-tag",
        {"name": "wine", "key": "k" * 250, "value": "v" * 100_000},
        {"name": "wine", "key": "k", "value": "v" * 100_001},
        too_long("value", 100_000),
    ),
    "version tag": (
        "model-versions/set-tag",
        {**VERSION, "key": "k" * 250, "value": "v" * 100_000},
        {**VERSION, "key": "k" * 251, "value": "v"},
        too_long("key", 250),
    ),
    "alias": (
        "registered-models/alias",
        {**VERSION, "alias": "a" * 255},
        {**VERSION, "alias": "a" * 256},
        too_long("Registered model alias name", 255),
    ),
    "page of experiments": (
        "experiments/search",
        {"max_results": 50_000},
        {"max_results": 50_001},
        "Invalid value 50001 for parameter 'max_results' supplied. It must be at most 50000",
    ),
    "page of runs": (
        "runs/search",
        {"experiment_ids": ["0"], "max_results": 50_000},
        {"experiment_ids": ["0"], "max_results": 0},
        "Invalid value 0 for parameter 'max_results' supplied. It must be a positive integer",
    ),
    "comparisons": (
        "runs/search",
        {"experiment_ids": ["0"], "filter": " AND ".join(["metrics.a > 1"] * 40)},
        {"experiment_ids": ["0"], "filter": " AND ".join(["metrics.a > 1"] * 41)},
        "a search can compare and order by at most 40 metrics, params and tags",
    ),
}


@pytest.mark.parametrize(("path", "good", "bad", "message"), LIMITS.values(), ids=LIMITS)
def test_a_limit_is_where_mlflow_has_it(
    path: str, good: JSON, bad: JSON, message: str, server: Served, run_id: str
) -> None:
    assert said(server, path, bad, run_id) == (400, message)
    assert said(server, path, good, run_id) == (200, "")


def test_long_values_of_params_and_tags_are_cut(server: Served) -> None:
    run_id = server.new_run()
    for path, size in (("runs/log-parameter", 6001), ("runs/set-tag", 8001)):
        assert said(server, path, {"run_id": run_id, "key": "k", "value": "v" * size}, "")[0] == 200
    run = server.tracking.get_run(run_id)
    assert (run.params["k"], run.tags["k"]) == ("v" * 6000, "v" * 8000)


def wrong(value: str, name: str, kind: str) -> str:
    hint = f"Hint: Value was of type '{kind}'."
    return f"Invalid value {value} for parameter '{name}' supplied:  {hint}{SEE}"


REFUSED: dict[str, tuple[str, JSON, str]] = {
    "a value that is no number": (
        "runs/log-metric",
        point(value="abc"),
        wrong('"abc"', "value", "str"),
    ),
    "a value that is true": ("runs/log-metric", point(value=True), wrong("true", "value", "bool")),
    "a list for a key": ("runs/log-metric", point(key=["m"]), wrong('["m"]', "key", "list")),
    "a number for a text": (
        "runs/set-tag",
        {"run_id": "RUN", "key": "t", "value": 1},
        wrong("1", "value", "int"),
    ),
    "a text for a list": (
        "runs/log-batch",
        {"run_id": "RUN", "metrics": "x"},
        wrong('"x"', "metrics", "str"),
    ),
    "a text for an object": (
        "runs/log-batch",
        {"run_id": "RUN", "metrics": ["x"]},
        wrong('"x"', "metrics", "str"),
    ),
    "a text for a flag": (
        "model-versions/transition-stage",
        {**VERSION, "stage": "Staging", "archive_existing_versions": "yes"},
        wrong('"yes"', "archive_existing_versions", "str"),
    ),
    "a metric before 1970": (
        "runs/log-metric",
        point(timestamp=-1),
        "Invalid value -1 for parameter 'metrics[0].timestamp' supplied: metric 'm' (value=1.0). "
        "Timestamp must be a nonnegative long (64-bit integer) ",
    ),
    "a token that is none": (
        "runs/search",
        {"experiment_ids": ["0"], "page_token": "!!"},
        "Invalid page token, could not base64-decode",
    ),
    "a token of no JSON": (
        "experiments/search",
        {"page_token": "YWJj"},
        "Invalid page token, decoded value=b'abc'",
    ),
    "a token before the start": (
        "runs/search",
        {"experiment_ids": ["0"], "page_token": "eyJvZmZzZXQiOiAtMX0="},
        "Invalid page token, parsed value={'offset': -1}",
    ),
    "a view that is none": (
        "runs/search",
        {"experiment_ids": ["0"], "run_view_type": "SOME"},
        "Invalid value 'SOME' for parameter 'run_view_type' supplied. "
        "It must be one of ACTIVE_ONLY, DELETED_ONLY, ALL.",
    ),
    "an experiment id that is no number": (
        "runs/search",
        {"experiment_ids": ["x"]},
        "Invalid experiment ID 'x'. Experiment ID must be a valid integer.",
    ),
    "a status that is none": (
        "runs/update",
        {"run_id": "RUN", "status": "DONE"},
        "Invalid run status 'DONE'. "
        "It must be one of RUNNING, SCHEDULED, FINISHED, FAILED, KILLED.",
    ),
    "two names": (
        "runs/create",
        {
            "experiment_id": "0",
            "run_name": "a",
            "tags": [{"key": "mlflow.runName", "value": "b"}],
        },
        "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different "
        "values (run_name='a', mlflow.runName='b').",
    ),
    "a model name with a slash": (
        "registered-models/create",
        {"name": "a/b"},
        "Invalid model name 'a/b'. Names cannot contain '/' or ':'.",
    ),
    "the alias latest": (
        "registered-models/alias",
        {**VERSION, "alias": "Latest"},
        "'latest' alias name (case insensitive) is reserved.",
    ),
    "an alias like a version": (
        "registered-models/alias",
        {**VERSION, "alias": "v7"},
        "Version alias name 'v7' is reserved.",
    ),
    "an alias with a blank": (
        "registered-models/alias",
        {**VERSION, "alias": "a b"},
        "Invalid alias name: 'a b'. Names may only contain alphanumerics, underscores (_), "
        "and dashes (-).",
    ),
    "a version that is no number": (
        "registered-models/alias",
        {"name": "wine", "version": "x", "alias": "a"},
        "Parameter 'version' must be an integer, got 'x'.",
    ),
    "archiving for no stage": (
        "model-versions/transition-stage",
        {**VERSION, "stage": "None", "archive_existing_versions": True},
        "Model version transition cannot archive existing model versions because 'None' is not "
        "an Active stage. Valid stages are ['Staging', 'Production']",
    ),
}


@pytest.mark.parametrize(("path", "body", "message"), REFUSED.values(), ids=REFUSED)
def test_what_makes_no_sense_is_refused_in_mlflows_words(
    path: str, body: JSON, message: str, server: Served, run_id: str
) -> None:
    assert said(server, path, body, run_id) == (400, message)


CHANGES: dict[str, tuple[str, JSON]] = {
    "metric": ("runs/log-metric", point()),
    "param": ("runs/log-parameter", {"run_id": "RUN", "key": "p", "value": "1"}),
    "tag": ("runs/set-tag", {"run_id": "RUN", "key": "t", "value": "1"}),
    "batch": ("runs/log-batch", {"run_id": "RUN", "metrics": points(1)}),
    "inputs": ("runs/log-inputs", dataset()),
    "outputs": ("runs/outputs", {"run_id": "RUN", "models": [{"model_id": "m-1", "step": 0}]}),
    "update": ("runs/update", {"run_id": "RUN", "status": "FINISHED"}),
}


@pytest.mark.parametrize(("path", "body"), CHANGES.values(), ids=CHANGES)
def test_a_deleted_run_is_not_changed(path: str, body: JSON, server: Served) -> None:
    run_id = server.new_run()
    server.post("runs/delete", {"run_id": run_id})
    status, message = said(server, path, body, run_id)
    assert status == 400
    assert message == (f"The run {run_id} must be in the 'active' state. Current state is deleted.")


@pytest.mark.parametrize("path", ["runs/log-parameter", "runs/log-batch"])
def test_a_param_is_never_given_another_value(path: str, server: Served) -> None:
    run_id = server.new_run()
    server.post("runs/log-parameter", {"run_id": run_id, "key": "p", "value": "1"})
    same: JSON = {"key": "p", "value": "1"}
    other: JSON = {"key": "p", "value": "2"}

    def log(param: JSON) -> tuple[int, str]:
        body = {"run_id": run_id, **param}
        if path == "runs/log-batch":
            body = {"run_id": run_id, "params": [param], "metrics": points(1)}
        return said(server, path, body, run_id)

    assert log(other) == (
        400,
        "Changing param values is not allowed. Param with key='p' was already logged with "
        f"value='1' for run ID='{run_id}'. Attempted logging new value '2'.",
    )
    run = server.tracking.get_run(run_id)
    assert (run.params, run.metrics) == ({"p": "1"}, {})
    assert log(same) == (200, "")
