"""What goes in and out of a handler: the call it gets and the response it gives."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

from flowrun.errors import UnsupportedError
from flowrun.registry.store import RegistryStore
from flowrun.server.webhooks.deliver import Webhooks
from flowrun.tracking.fields import Fields, JsonObject
from flowrun.tracking.store import TrackingStore
from flowrun.tracking.trace_store import TraceStore
from flowrun.valueclass import valueclass

if TYPE_CHECKING:
    from flowrun.server.meters import Meters

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]

_JSON_HEADER = (b"content-type", b"application/json")
_NOSNIFF_HEADER = (b"x-content-type-options", b"nosniff")
_dump = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False).encode


@valueclass
class Stores:
    """What the server serves."""

    tracking: TrackingStore
    registry: RegistryStore
    artifacts_destination: str
    """The directory or fsspec URL under which `mlflow-artifacts:/` lies."""
    webhooks: Webhooks | None = None
    """None: this server has none."""
    artifact_roots: tuple[str, ...] = ()
    """Other places whose artifacts the server reads for callers: those of its direct roots."""
    storage_variables: Mapping[str, str] = field(default_factory=dict)
    """MLflow's environment variables that say how storages are reached."""
    meters: Meters | None = None
    """What `/metrics` tells; None if it is not offered."""
    traces: TraceStore | None = None
    """None where the store behind the server keeps none."""


@valueclass
class Call:
    """One request, checked and read, as a handler sees it."""

    stores: Stores
    fields: Fields
    """Of the JSON body or the query string, with those of the path over them."""
    user: str
    """Who calls, as far as the server knows; may be empty."""
    headers: Mapping[bytes, bytes]
    body: BinaryIO
    """For a route that takes a file: its bytes, to be read on the handler's own thread."""

    @property
    def traces(self) -> TraceStore:
        """The traces; UnsupportedError if the store behind the server keeps none."""
        if self.stores.traces is None:
            raise UnsupportedError("The store behind this server keeps no traces.")
        return self.stores.traces

    def now(self) -> int:
        """Give the time that something gets which came without one: milliseconds since 1970."""
        return time.time_ns() // 1_000_000


@valueclass
class FileBody:
    """A part of an open file, sent in chunks and closed afterwards."""

    file: BinaryIO
    start: int
    length_bytes: int


@valueclass
class Response:
    """A whole answer."""

    status: int
    headers: Headers
    body: bytes | FileBody

    @property
    def length_bytes(self) -> int:
        """The length of the body."""
        return len(self.body) if isinstance(self.body, bytes) else self.body.length_bytes


class Permission(StrEnum):
    """What a caller must be allowed for a route."""

    PUBLIC = "public"
    """Nothing: answers tell nothing about what is stored."""
    READ = "read"
    WRITE = "write"


ANY_METHOD = "*"

Handler: TypeAlias = Callable[[Call], JsonObject | Response]


@valueclass
class Route:
    """One line of the route table."""

    method: str
    path: str
    """`{name}` stands for one segment, `{name...}` for the rest of the path."""
    permission: Permission
    handler: Handler
    is_slow: bool = False
    """Runs on a thread, since it reads files or much of the store; others run at once."""
    takes_file: bool = False
    """The body is a file's bytes, not JSON."""
    gives_file: bool = False
    """The answer is a file's bytes, or the part of them that was asked for."""

    @property
    def summary(self) -> str:
        """One line that says what the route is for: the handler's own."""
        return (self.handler.__doc__ or "").partition("\n")[0]


def json_response(value: JsonObject, status: int = 200, extra: Headers = ()) -> Response:
    """Give a JSON answer."""
    body = _dump(value).encode()
    length = (b"content-length", str(len(body)).encode())
    return Response(status, [_JSON_HEADER, _NOSNIFF_HEADER, length, *extra], body)


def text_response(text: str, content_type: bytes = b"text/plain; charset=utf-8") -> Response:
    """Give a plain text answer."""
    body = text.encode()
    kind = (b"content-type", content_type)
    length = (b"content-length", str(len(body)).encode())
    return Response(200, [kind, _NOSNIFF_HEADER, length], body)
