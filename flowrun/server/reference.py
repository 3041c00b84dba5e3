"""Writes the reference page of the REST API from the route table.

python -m flowrun.server.reference
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from flowrun.server import unserved
from flowrun.server.messages import ANY_METHOD, Route
from flowrun.server.routes import all_routes

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "rest-api.md"

_HEAD = """\
# The REST API

<!-- Written by `python -m flowrun.server.reference` from the route table. -->

`flowrun server` answers MLflow's REST protocol, with
[MLflow's fields](https://mlflow.org/docs/latest/rest-api.html). What is below `/api` is also below
`/ajax-api`, where browsers ask for it; `{path...}` stands for the rest of the path. The same list
for programs, in OpenAPI's form: `/api/flowrun/1.0/openapi.json`. Which clients were tried:
[MLflow's clients](clients.md).

A failure is answered with `{"error_code": ..., "message": ...}` and 400, 401 (token), 403 (Host or
Origin, or outside the server's own artifacts), 404, 501 (not offered) or 507 (the store can't be
read or written). MLflow's clients repeat 500, 502, 503 and 504 for minutes, so nothing that will
fail again is one of these: 503 is a database that restarts, 500 a bug.

Permissions: `public` needs nothing; `read` and `write` need the token, where the server has one.
"""
_UNSERVED = """
## Not offered

These parts of MLflow's protocol answer 501 `NOT_IMPLEMENTED`, at and below the paths named, which
clients neither repeat nor take for a wrong address.

| what | where |
| --- | --- |
"""


def page() -> str:
    """Give the text of the page."""
    routes = [route for route in all_routes() if route.method != ANY_METHOD and not _is_twin(route)]
    sections = [
        _section(title, list(group)) for title, group in groupby(routes, key=_title_of_module)
    ]
    return "".join([_HEAD, *sections, _UNSERVED, *_unserved_rows()])


def _is_twin(route: Route) -> bool:
    twin = f"/api/{route.path.removeprefix('/ajax-api/')}"
    return route.path.startswith("/ajax-api/") and any(
        route.method == other.method and other.path == twin for other in all_routes()
    )


def _title_of_module(route: Route) -> str:
    text = sys.modules[route.handler.__module__].__doc__ or ""
    return " ".join(text.partition("\n\n")[0].split()).rstrip(".")


def _section(title: str, routes: list[Route]) -> str:
    rows = "".join(
        f"| {route.method} | `{route.path}` | {route.summary} | {route.permission} |\n"
        for route in routes
    )
    return (
        f"\n## {title}\n\n| | path | what it does | permission |\n| --- | --- | --- | --- |\n{rows}"
    )


def _unserved_rows() -> Iterator[str]:
    for area, paths in unserved.AREAS.items():
        yield f"| {area} | {', '.join(f'`{path}`' for path in paths)} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
