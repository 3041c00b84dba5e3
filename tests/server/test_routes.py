"""The whole route table: what each route declares, and that none can be reached without it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from flowrun.server.messages import ANY_METHOD, Permission, Route
from flowrun.server.routes import all_routes
from tests.support.serving import Served, serving

ROUTES = {f"{route.method} {route.path}": route for route in all_routes()}
PUBLIC = {
    "GET /health",
    "GET /api/3.0/mlflow/server-info",
    "GET /ajax-api/3.0/mlflow/server-info",
}
POSTS_THAT_ONLY_READ = {
    "traces/batchGetInfos",
    "traces/calculate-filter-correlation",
    "traces/search",
    "/graphql",
    "experiments/search",
    "experiments/search-datasets",
    "artifacts/presigned-download-url",
    "logged-models/search",
    "registered-models/get-latest-versions",
    "runs/search",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("server")) as served:
        yield served


def address(route: Route) -> tuple[str, str]:
    method = "POST" if route.method == ANY_METHOD else route.method
    return method, re.sub(r"{\w+(\.\.\.)?}", "x", route.path)


@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)
def test_no_route_but_the_public_ones_answers_without_the_token(
    route: Route, server: Served
) -> None:
    method, path = address(route)
    answer = server.call(method, path, headers={"Authorization": ""})
    if f"{route.method} {route.path}" in PUBLIC:
        assert answer.status == 200
    else:
        assert answer.status == 401
        assert answer.json["error_code"] == "UNAUTHENTICATED"
        assert answer.headers["www-authenticate"] == 'Basic realm="flowrun"'


@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)
def test_every_route_is_named_and_what_changes_things_needs_to_write(route: Route) -> None:
    assert route.summary.endswith(".")
    if route.method in {"PUT", "PATCH", "DELETE"}:
        assert route.permission is Permission.WRITE
    if route.method == "POST" and not route.path.endswith(tuple(POSTS_THAT_ONLY_READ)):
        assert route.permission is Permission.WRITE
    if route.method == "GET":
        assert route.permission is not Permission.WRITE


@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)
def test_no_route_answers_to_a_foreign_host_name(route: Route, server: Served) -> None:
    method, path = address(route)
    answer = server.call(method, path, headers={"Host": "evil.example.com"})
    assert (answer.status, answer.json["error_code"]) == (403, "PERMISSION_DENIED")


def test_every_route_of_the_api_has_a_twin_for_browsers() -> None:
    for name, route in ROUTES.items():
        if route.path.startswith("/api/"):
            assert name.replace("/api/", "/ajax-api/", 1) in ROUTES


def test_an_unknown_path_is_told_only_to_those_with_the_token(server: Served) -> None:
    assert server.call("GET", "/nowhere", headers={"Authorization": ""}).status == 401
    answer = server.call("GET", "/nowhere")
    assert answer.status == 404
    assert answer.json == {
        "error_code": "ENDPOINT_NOT_FOUND",
        "message": "This server has no '/nowhere'.",
    }


def test_a_wrong_method_is_refused(server: Served) -> None:
    answer = server.call("DELETE", "/api/2.0/mlflow/runs/get")
    assert answer.status == 405
    assert answer.json["message"] == "/api/2.0/mlflow/runs/get does not take DELETE, only GET."


@pytest.mark.parametrize(
    ("method", "path", "area"),
    [
        ("POST", "/api/3.0/mlflow/traces/metrics", "statistics of traces"),
        ("GET", "/graphql", "jobs of MLflow's user interface"),
    ],
)
def test_what_is_not_offered_is_refused_in_words(
    method: str, path: str, area: str, server: Served
) -> None:
    answer = server.call(method, path)
    assert answer.status == 501
    assert answer.json == {
        "error_code": "NOT_IMPLEMENTED",
        "message": f"This server does not offer {area}.",
    }
