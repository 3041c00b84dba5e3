from __future__ import annotations

import pytest

from flowrun.server.messages import ANY_METHOD, Call, Permission, Route
from flowrun.server.problems import UnknownRouteError, WrongMethodError
from flowrun.server.table import RouteTable
from flowrun.tracking.fields import JsonObject


def nothing(_: Call) -> JsonObject:
    """Do nothing."""
    return {}


def route(method: str, path: str) -> Route:
    return Route(method, path, Permission.READ, nothing)


TABLE = RouteTable(
    [
        route("GET", "/models/search"),
        route("GET", "/models/{model_id}"),
        route("PATCH", "/models/{model_id}"),
        route("GET", "/files/{path...}"),
        route(ANY_METHOD, "/later"),
    ]
)

FOUND: dict[str, tuple[str, str, str, dict[str, str]]] = {
    "fixed before pattern": ("GET", "/models/search", "/models/search", {}),
    "one segment": ("PATCH", "/models/m-1", "/models/{model_id}", {"model_id": "m-1"}),
    "the rest": ("GET", "/files/a/b c/d\n", "/files/{path...}", {"path": "a/b c/d\n"}),
    "HEAD as GET": ("HEAD", "/models/m-1", "/models/{model_id}", {"model_id": "m-1"}),
    "any method": ("PURGE", "/later", "/later", {}),
}


@pytest.mark.parametrize(("method", "path", "found", "values"), FOUND.values(), ids=FOUND)
def test_a_request_finds_its_route(
    method: str, path: str, found: str, values: dict[str, str]
) -> None:
    got, got_values = TABLE.find(method, path)
    assert (got.path, got_values) == (found, values)


@pytest.mark.parametrize(
    "path", ["/", "/models/", "/models/a/b", "/files/", "/model", "//models/a"]
)
def test_a_path_that_no_route_has_is_unknown(path: str) -> None:
    with pytest.raises(UnknownRouteError) as caught:
        TABLE.find("GET", path)
    assert str(caught.value) == f"This server has no '{path}'."


def test_a_wrong_method_is_told_the_right_ones() -> None:
    with pytest.raises(WrongMethodError) as caught:
        TABLE.find("DELETE", "/models/m-1")
    assert str(caught.value) == "/models/m-1 does not take DELETE, only GET, PATCH."


def test_two_routes_of_one_method_and_path_are_a_bug() -> None:
    with pytest.raises(AssertionError, match="two routes for GET /a"):
        RouteTable([route("GET", "/a"), route("GET", "/a")])


def test_a_route_is_summed_up_by_its_handler() -> None:
    assert route("GET", "/a").summary == "Do nothing."
