"""Reads a request's body: JSON in one piece, or a file as it comes, in constant memory."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Mapping
from typing import BinaryIO
from urllib.parse import parse_qs

from flowrun.errors import FlowrunError, InvalidValueError
from flowrun.server.asgi import Receive
from flowrun.tracking.fields import Fields

# The largest request that MLflow's limits allow is some inputs with profiles of 16 MiB.
MAX_JSON_BYTES = 64 * 2**20
_BUFFER_BYTES = 2**18


class ClientGoneError(FlowrunError):
    """The caller closed the connection before its request was all there.

    No storage that was reading the request takes it for an error of its own.
    """


def read_query(query: bytes) -> Fields:
    """Give the fields of a query string."""
    if not query:
        return Fields({}, is_query=True)
    try:
        parsed = parse_qs(
            query.decode("latin-1"), keep_blank_values=True, errors="strict", max_num_fields=1000
        )
    except ValueError:
        raise InvalidValueError("The query string is not valid UTF-8, or too long.") from None
    values = {name: texts if len(texts) > 1 else texts[0] for name, texts in parsed.items()}
    return Fields(values, is_query=True)


async def read_json(receive: Receive, headers: Mapping[bytes, bytes], method: str) -> Fields:
    """Give the fields of a JSON body; an empty body has none.

    Raises:
        InvalidValueError: the body is no JSON object, too large, or of another content type.
        ClientGoneError: the caller went away.
    """
    body = await _read_all(receive)
    if body or method in {"POST", "PUT"}:
        _check_content_type(headers)
    if not body:
        return Fields({})
    try:
        value = json.loads(body)
        if isinstance(value, str):  # older clients encode twice
            value = json.loads(value)
    except (ValueError, RecursionError):
        raise InvalidValueError("The request's body is not valid JSON.") from None
    if value is not None and not isinstance(value, dict):
        raise InvalidValueError("The request's body must be a JSON object.")
    return Fields(value or {})


def body_file(receive: Receive) -> BinaryIO:
    """Give the body as a file to be read on another thread than the event loop's."""
    return io.BufferedReader(_BodyReader(receive, asyncio.get_running_loop()), _BUFFER_BYTES)


class _BodyReader(io.RawIOBase):
    """Asks the event loop for each next chunk, so that the sender is held back as needed."""

    def __init__(self, receive: Receive, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._receive = receive
        self._loop = loop
        self._rest = memoryview(b"")
        self._has_more = True

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # typeshed's Buffer is 3.12's
        while not self._rest and self._has_more:
            self._rest = memoryview(self._next_chunk())
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def _next_chunk(self) -> bytes:
        chunk, self._has_more = asyncio.run_coroutine_threadsafe(
            _next_chunk(self._receive), self._loop
        ).result()
        return chunk


async def _read_all(receive: Receive) -> bytes:
    body, has_more = await _next_chunk(receive)
    if not has_more:
        return body
    chunks, size = [body], len(body)
    while has_more:
        chunk, has_more = await _next_chunk(receive)
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_JSON_BYTES:
            raise InvalidValueError(f"The request's body is larger than {MAX_JSON_BYTES} bytes.")
    return b"".join(chunks)


async def _next_chunk(receive: Receive) -> tuple[bytes, bool]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientGoneError("the caller closed the connection")
    return message.get("body", b""), message.get("more_body", False)


def _check_content_type(headers: Mapping[bytes, bytes]) -> None:
    kind = headers.get(b"content-type")
    if kind is None:
        raise InvalidValueError("Bad Request. Content-Type header is missing.")
    if kind.partition(b";")[0].strip().lower() != b"application/json":
        raise InvalidValueError("Bad Request. Content-Type must be one of ['application/json'].")
