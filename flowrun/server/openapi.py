"""The route table as an OpenAPI description, for programs and tools.

It tells paths, what each is for, and what can come back. The fields of a request are MLflow's own:
its protocol is what the routes speak, and its documentation says what each field means.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from flowrun.server.messages import ANY_METHOD, Permission, Route
from flowrun.server.problems import PROBLEMS
from flowrun.tracking.fields import JsonObject
from flowrun.version import __version__

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
"""What a route that takes any method is described by."""

_MLFLOW_DOCS = "https://mlflow.org/docs/latest/rest-api.html"
_PLACEHOLDER = re.compile(r"{(\w+)(\.\.\.)?}")
_ERROR: JsonObject = {
    "type": "object",
    "required": ["error_code", "message"],
    "properties": {"error_code": {"type": "string"}, "message": {"type": "string"}},
}
_MEANINGS = {
    400: "A field is missing, of a wrong type or not allowed; or the thing is there already.",
    401: "The token is missing or wrong.",
    403: "The Host or Origin header, or what was asked for, is not allowed.",
    404: "There is no such thing.",
    501: "This server does not offer it.",
    503: "The store's database restarts; try again.",
    507: "The store can't be read or written now.",
}
_FILES = {206: "A part of the file.", 416: "The file has no such part."}


def openapi(routes: Iterable[Route]) -> JsonObject:
    """Give the OpenAPI 3.0 description of routes."""
    paths: dict[str, dict[str, JsonObject]] = {}
    for route in routes:
        operations = paths.setdefault(_PLACEHOLDER.sub(r"{\1}", route.path), {})
        for method in METHODS if route.method == ANY_METHOD else (route.method,):
            operations[method.lower()] = _operation(route, method)
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "flowrun",
            "version": __version__,
            "description": f"MLflow's REST protocol, with its fields: {_MLFLOW_DOCS}",
        },
        "paths": paths,
        "components": {
            "schemas": {"Error": _ERROR},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route, method: str) -> JsonObject:
    operation: JsonObject = {
        "summary": route.summary,
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name, _ in _PLACEHOLDER.findall(route.path)
        ],
        "responses": _responses(route),
    }
    if route.permission is not Permission.PUBLIC:
        operation["security"] = [{"token": []}]
    if method not in {"GET", "DELETE"} or (method == "DELETE" and not route.takes_file):
        operation["requestBody"] = _body(route)
    return operation


def _body(route: Route) -> JsonObject:
    if route.takes_file:
        binary = {"type": "string", "format": "binary"}
        return {"content": {"application/octet-stream": {"schema": binary}}}
    return {"content": {"application/json": {"schema": {"type": "object"}}}}


def _responses(route: Route) -> JsonObject:
    failures = sorted({status for _, status in PROBLEMS.values()} & set(_MEANINGS))
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {
        "200": {"description": "Done."},
        **{
            str(status): {"description": text}
            for status, text in _FILES.items()
            if route.gives_file
        },
        **{
            str(status): {"description": _MEANINGS[status], "content": error} for status in failures
        },
    }
