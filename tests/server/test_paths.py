"""No route that takes a path or a URI lets one lead out of the artifacts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowrun.server.messages import ANY_METHOD
from flowrun.server.routes import all_routes
from tests.support.serving import Served, serving

CLIMBING = {
    "up": "../secret.txt",
    "down and up": "a/../../secret.txt",
    "encoded once": "%2e%2e/secret.txt",
    "encoded twice": "%252e%252e/secret.txt",
    "encoded thrice": "%25252e%25252e%25252fsecret.txt",
    "a slash encoded": "..%2fsecret.txt",
    "a backslash": "..%5csecret.txt",
    "from the root": "%2fetc%2fpasswd",
    "a URI": "file:%2f%2f%2fetc%2fpasswd%00",
    "NUL": "a%00b",
    "a line break": "a%0ab",
    "a query": "a%3fb",
    "a fragment": "a%23b",
}
BY_QUERY = {
    "list a folder of the proxy": "GET /api/2.0/mlflow-artifacts/artifacts?path={path}",
    "list a run's": "GET /api/2.0/mlflow/artifacts/list?run_id={run_id}&path={path}",
    "read a run's": "GET /get-artifact?run_id={run_id}&path={path}",
    "write a run's": "POST /ajax-api/2.0/mlflow/upload-artifact?run_uuid={run_id}&path={path}",
    "list a model's": (
        "GET /api/2.0/mlflow/logged-models/{model_id}/artifacts/directories"
        "?artifact_directory_path={path}"
    ),
    "read a model's": (
        "GET /ajax-api/2.0/mlflow/logged-models/{model_id}/artifacts/files"
        "?artifact_file_path={path}"
    ),
    "read a version's": "GET /model-versions/get-artifact?name=wine&version=1&path={path}",
    "read by the proxy": "GET /api/2.0/mlflow-artifacts/artifacts/{path}",
    "write by the proxy": "PUT /api/2.0/mlflow-artifacts/artifacts/{path}",
    "delete by the proxy": "DELETE /api/2.0/mlflow-artifacts/artifacts/{path}",
}
ELSEWHERE = {
    # The store behind decides whether these are offered; tests of transfers try their paths.
    "/api/2.0/mlflow-artifacts/mpu",
    "/api/2.0/mlflow-artifacts/presigned",
    "/api/2.0/mlflow/artifacts/presigned",
    # The path is made by the server.
    "/ajax-api/2.0/mlflow/get-trace-artifact",
    "/ajax-api/3.0/mlflow/get-trace-artifact",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("server")) as served:
        yield served


@pytest.fixture(scope="module")
def names(server: Served) -> dict[str, str]:
    """A run, a logged model, and a version `wine` 1, all with files the server may read."""
    run_id = server.new_run()
    model = server.post("logged-models", {"experiment_id": "0"}).json["model"]["info"]
    server.post("registered-models/create", {"name": "wine"})
    source = {"name": "wine", "source": f"models:/{model['model_id']}"}
    assert server.post("model-versions/create", source).status == 200
    return {"run_id": run_id, "model_id": model["model_id"]}


@pytest.fixture
def secret(server: Served) -> Path:
    path = server.artifacts.parent / "secret.txt"
    path.write_text("secret")
    return path


@pytest.mark.parametrize("climbing", CLIMBING.values(), ids=CLIMBING)
@pytest.mark.parametrize("request_line", BY_QUERY.values(), ids=BY_QUERY)
def test_no_path_of_a_request_leads_out_of_the_artifacts(
    request_line: str, climbing: str, server: Served, names: dict[str, str], secret: Path
) -> None:
    method, target = request_line.format(path=climbing, **names).split(" ", 1)
    answer = server.call(method, target, None if method == "GET" else b"overwritten")
    assert (answer.status, answer.json["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert secret.read_text() == "secret"


def test_every_route_of_files_is_among_these() -> None:
    tried = {line.split(" ", 1)[1].partition("?")[0] for line in BY_QUERY.values()}
    for route in all_routes():
        path = route.path.replace("{path...}", "{path}")
        twin = path.replace("/ajax-api/", "/api/", 1)
        if route.method == ANY_METHOD or "artifact" not in route.path:
            continue
        assert {path, twin} & tried or twin.startswith(tuple(ELSEWHERE)) or path in ELSEWHERE


SOURCES = {
    "this machine": "/etc/passwd",
    "this machine by URI": "file:///etc/passwd",
    "another host": "file://host/etc",
    "up": "{root}/../../other",
    "up, encoded": "{root}/%2e%2e/%2e%2e/other",
    "another run's": "mlflow-artifacts:/0/other/artifacts",
    "with a query": "{root}?x=1",
    "with a fragment": "{root}#x",
    "with a password": "s3://a:b@bucket/x",
    "with NUL": "s3://bucket/a\0b",
}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_no_source_of_a_version_leads_elsewhere_than_it_says(
    source: str, server: Served, names: dict[str, str]
) -> None:
    root = f"mlflow-artifacts:/0/{names['run_id']}/artifacts"
    body = {"name": "wine", "run_id": names["run_id"], "source": source.format(root=root)}
    answer = server.post("model-versions/create", body)
    assert (answer.status, answer.json["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


LOCATIONS = {
    "up": "s3://bucket/../other",
    "up, encoded": "s3://bucket/%2e%2e/other",
    "with a query": "s3://bucket/x?y=1",
    "with a fragment": "s3://bucket/x#y",
    "another host": "file://host/etc",
    "with NUL": "s3://bucket/a\0b",
}


@pytest.mark.parametrize("location", LOCATIONS.values(), ids=LOCATIONS)
def test_no_location_of_an_experiment_leads_elsewhere_than_it_says(
    location: str, server: Served
) -> None:
    answer = server.post("experiments/create", {"name": "x", "artifact_location": location})
    assert (answer.status, answer.json["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


def test_ids_are_not_paths(server: Served) -> None:
    for path in (
        "runs/get?run_id=../x",
        "runs/get?run_id=%2e%2e",
        "experiments/get?experiment_id=..",
    ):
        answer = server.call("GET", f"/api/2.0/mlflow/{path}")
        assert answer.status in {400, 404}
        assert json.loads(answer.body)["error_code"] in {
            "INVALID_PARAMETER_VALUE",
            "RESOURCE_DOES_NOT_EXIST",
        }
