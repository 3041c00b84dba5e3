"""Where a caller may point the server: artifact locations, and the roots it reads itself.

A location is only a text until something opens it. The server opens what lies under its own
artifacts destination and nothing else, or a caller could make an experiment at `file:///etc` and
read it through the server.
"""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from flowrun.errors import InvalidValueError, PermissionDeniedError
from flowrun.server.messages import Stores
from flowrun.tracking.artifact_paths import check_uri
from flowrun.tracking.artifacts import (
    PROXIED,
    Artifacts,
    DirectTransfer,
    open_artifacts,
    open_transfer,
)


def check_location(uri: str) -> None:
    """Refuse an artifact location or a model's source that could lead elsewhere than it looks.

    Raises:
        InvalidValueError: see `check_uri`; or it is a file on another host.
    """
    check_uri(uri)
    parts = urlsplit(uri)
    if parts.scheme == "file" and parts.netloc not in {"", "localhost"}:
        raise InvalidValueError(f"Invalid path '{uri}': it is a file on another host.")


def decoded(text: str) -> str:
    """Give `text` with percent-encoding taken off until nothing changes."""
    while (once := unquote(text)) != text:
        text = once
    return text


def is_within(uri: str, root: str) -> bool:
    """True if `uri`, checked before, is `root` or lies below it."""
    inner, outer = _parts(uri), _parts(root)
    return inner[:2] == outer[:2] and inner[2][: len(outer[2])] == outer[2]


def is_local(uri: str) -> bool:
    """True for a path or a `file:` URI."""
    return urlsplit(uri).scheme in {"", "file"}


def open_root(stores: Stores, uri: str) -> Artifacts:
    """Open the artifacts at a run's, model's or version's URI, for the server itself to read.

    Raises:
        PermissionDeniedError: they lie outside the server's own artifacts.
    """
    _check_own(stores, uri)
    return open_artifacts(
        uri, destination=stores.artifacts_destination, variables=stores.storage_variables
    )


def open_root_transfer(stores: Stores, uri: str) -> DirectTransfer | None:
    """Open the same for direct transfers; None if its storage has none.

    Raises:
        PermissionDeniedError: they lie outside the server's own artifacts.
    """
    _check_own(stores, uri)
    return open_transfer(
        uri, destination=stores.artifacts_destination, variables=stores.storage_variables
    )


def _check_own(stores: Stores, uri: str) -> None:
    if urlsplit(uri).scheme == PROXIED:
        return
    check_location(uri)
    roots = (stores.artifacts_destination, *stores.artifact_roots)
    if not any(is_within(uri, root) for root in roots):
        raise PermissionDeniedError(
            f"The server does not read artifacts at '{uri}', outside its own.",
            "Read them from there directly, with MLflow's client.",
        )


def _parts(uri: str) -> tuple[str, str, list[str]]:
    parts = urlsplit(decoded(uri))
    scheme = "" if parts.scheme == "file" else parts.scheme
    return scheme, parts.netloc, [segment for segment in parts.path.split("/") if segment]
