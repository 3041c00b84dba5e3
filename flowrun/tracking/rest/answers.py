"""What a server's refusals mean: MLflow's error codes to flowrun's errors.

Source: MLflow REST API, errors; `rest_utils.py` of MLflow's client, which raises by `error_code`
and not by status.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from flowrun.errors import (
    AlreadyExistsError,
    FlowrunError,
    InvalidStateError,
    InvalidValueError,
    NotFoundError,
    PermissionDeniedError,
    StoreError,
    UnsupportedError,
)
from flowrun.tracking.fields import Fields


class WrongAddressError(StoreError):
    """Something answers there, but it does not know this call of MLflow's."""


_ERRORS: Mapping[str, type[FlowrunError]] = {
    "RESOURCE_DOES_NOT_EXIST": NotFoundError,
    "NOT_FOUND": NotFoundError,
    "RESOURCE_ALREADY_EXISTS": AlreadyExistsError,
    "INVALID_PARAMETER_VALUE": InvalidValueError,
    "BAD_REQUEST": InvalidValueError,
    "INVALID_STATE": InvalidStateError,
    "RESOURCE_CONFLICT": InvalidStateError,
    "PERMISSION_DENIED": PermissionDeniedError,
    "UNAUTHENTICATED": PermissionDeniedError,
    "ENDPOINT_NOT_FOUND": UnsupportedError,
    "NOT_IMPLEMENTED": UnsupportedError,
    "FEATURE_DISABLED": UnsupportedError,
}
_LOGIN = (
    "Set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, "
    "to what the server lets in."
)
_SHOWN_CHARACTERS = 200


def read_json(body: bytes, what: str, url: str) -> Fields:
    """Read a good answer.

    Args:
        body: of an answer with status 200.
        what: the call, such as `GET runs/get`; for messages.
        url: the server's.

    Raises:
        StoreError: it is no JSON object, so this is no tracking server.
    """
    value = _object(body)
    if value is None:
        raise StoreError(
            f"{url} answered {what} with something that is not MLflow's protocol: is it the "
            f"address of a tracking server? It said: {_shown(body)}"
        )
    return Fields(value)


def refusal(status: int, body: bytes, location: str | None, what: str, url: str) -> FlowrunError:
    """Give the error for an answer that is not a good one, with the server's own words."""
    value = _object(body) or {}
    code, message = value.get("error_code"), value.get("message")
    if isinstance(code, str) and isinstance(message, str):
        kind = _ERRORS.get(code, PermissionDeniedError if status in {401, 403} else StoreError)
        return _told(kind, message, what, url)
    if status in {401, 403}:
        why = "asks for a login" if status == 401 else "does not allow this"
        return PermissionDeniedError(f"{url} {why} ({what}): {_shown(body)}", _LOGIN)
    if location is not None and 300 <= status < 400:
        # Not followed: it would take the credentials along to wherever it leads.
        return StoreError(f"{url} has moved to {location}", "Give that as the tracking URI.")
    if status in {404, 405}:
        return WrongAddressError(
            f"there is no MLflow server at {url}: it answered {status} for {what}",
            "Look whether the tracking URI's host, port and path prefix are right.",
        )
    return StoreError(f"{url} answered {status} for {what}: {_shown(body)}")


def _told(kind: type[FlowrunError], message: str, what: str, url: str) -> FlowrunError:
    """Leave what is wrong with a value in the server's words; of the rest say who speaks."""
    if kind is StoreError:
        return StoreError(f"the tracking server at {url} failed on {what}: {message}")
    first, _, rest = message.partition("\n")
    if kind is PermissionDeniedError:
        return PermissionDeniedError(f"{url}: {first}", rest or _LOGIN)
    return kind(message)


def _object(body: bytes) -> dict[str, object] | None:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _shown(body: bytes) -> str:
    text = " ".join(body.decode("utf-8", "replace").split())
    plain = "".join(character if character.isprintable() else "?" for character in text)
    cut = plain[:_SHOWN_CHARACTERS]
    return f"'{cut}...'" if len(plain) > len(cut) else f"'{cut}'"
