from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from flowrun.server.messages import ANY_METHOD, Permission
from flowrun.server.openapi import openapi
from flowrun.server.routes import all_routes
from tests.support.serving import Served, serving

ROUTES = list(all_routes())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("server")) as served:
        yield served


def test_the_server_describes_all_its_routes(server: Served) -> None:
    described = server.call("GET", "/api/flowrun/1.0/openapi.json").json
    assert described == json.loads(json.dumps(openapi(ROUTES)))
    operations = {
        f"{method.upper()} {path}"
        for path, methods in described["paths"].items()
        for method in methods
    }
    for route in ROUTES:
        if route.method != ANY_METHOD:
            assert f"{route.method} {route.path.replace('...}', '}')}" in operations


def test_what_needs_a_token_says_so() -> None:
    paths = openapi(ROUTES)["paths"]
    assert isinstance(paths, dict)
    for route in ROUTES:
        if route.method != ANY_METHOD:
            operation = paths[route.path.replace("...}", "}")][route.method.lower()]
            assert ("security" in operation) == (route.permission is not Permission.PUBLIC)


def test_only_files_are_given_in_parts() -> None:
    paths = openapi(ROUTES)["paths"]
    assert isinstance(paths, dict)
    in_parts = {
        path
        for path, methods in paths.items()
        for operation in methods.values()
        if "206" in operation["responses"]
    }
    assert in_parts == {route.path.replace("...}", "}") for route in ROUTES if route.gives_file}
