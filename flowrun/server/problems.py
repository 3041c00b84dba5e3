"""The one table: error class -> MLflow error_code and HTTP status.

MLflow's client raises by `error_code`, and retries 408, 429, 500, 502, 503 and 504 for minutes, so
no failure that will happen again may carry one of these.
Source: MLflow REST API, errors; `rest_utils.py` for what is retried.
"""

from __future__ import annotations

from flowrun.errors import (
    AlreadyExistsError,
    FlowrunError,
    InvalidStateError,
    InvalidValueError,
    NotFoundError,
    PermissionDeniedError,
    StoreError,
    StoreUnavailableError,
    UnsupportedError,
    UsageError,
)
from flowrun.server.messages import Response, json_response


class UnauthenticatedError(FlowrunError):
    """The caller did not say who it is, or not convincingly."""


class UnknownRouteError(FlowrunError):
    """No route has this path."""


class WrongMethodError(FlowrunError):
    """There are routes of this path, but for other methods."""


class UnprocessableError(FlowrunError):
    """The request is well formed, but lacks something without which it can't be followed."""


class WrongHostError(FlowrunError):
    """The Host or Origin header names a place this server does not answer to."""


PROBLEMS: dict[type[FlowrunError], tuple[str, int]] = {
    UnauthenticatedError: ("UNAUTHENTICATED", 401),
    PermissionDeniedError: ("PERMISSION_DENIED", 403),
    WrongHostError: ("PERMISSION_DENIED", 403),
    NotFoundError: ("RESOURCE_DOES_NOT_EXIST", 404),
    UnknownRouteError: ("ENDPOINT_NOT_FOUND", 404),
    WrongMethodError: ("ENDPOINT_NOT_FOUND", 405),
    AlreadyExistsError: ("RESOURCE_ALREADY_EXISTS", 400),
    InvalidValueError: ("INVALID_PARAMETER_VALUE", 400),
    InvalidStateError: ("INVALID_PARAMETER_VALUE", 400),
    UsageError: ("INVALID_PARAMETER_VALUE", 400),
    UnprocessableError: ("INVALID_PARAMETER_VALUE", 422),
    UnsupportedError: ("NOT_IMPLEMENTED", 501),
    # A full or broken disk stays so. 507 is no status that clients retry, and they show its text.
    StoreError: ("INTERNAL_ERROR", 507),
    # A database that restarts is back in a moment: the one problem that clients had better retry.
    StoreUnavailableError: ("TEMPORARILY_UNAVAILABLE", 503),
}

# Clients retry what has this header after one second, instead of waiting up to a minute.
_SOON = (b"retry-after", b"1")


def problem_response(error: FlowrunError) -> Response:
    """Give the answer for an error raised on purpose."""
    code, status = problem_of(error)
    extra = []
    if status == 401:
        extra.append((b"www-authenticate", b'Basic realm="flowrun"'))
    if status == 503:
        extra.append(_SOON)
    return json_response({"error_code": code, "message": str(error)}, status, extra)


def problem_of(error: FlowrunError) -> tuple[str, int]:
    """Give MLflow's error code and the HTTP status of an error raised on purpose."""
    for kind in type(error).__mro__:
        if kind in PROBLEMS:
            return PROBLEMS[kind]
    return "INVALID_PARAMETER_VALUE", 400


def bug_response() -> Response:
    """Give the answer for an error nobody expected; its story is in the server's log."""
    message = "The server failed on this request. Its log has the details."
    return json_response({"error_code": "INTERNAL_ERROR", "message": message}, 500, [_SOON])
