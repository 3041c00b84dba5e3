"""Spans from OpenTelemetry's exporters, MLflow's own among them.

Source: https://opentelemetry.io/docs/specs/otlp/#otlphttp; the headers are MLflow's.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import BinaryIO

from flowrun.errors import InvalidValueError
from flowrun.server.messages import Call, Permission, Response, Route
from flowrun.server.problems import UnprocessableError
from flowrun.tracking.otlp import MissingIdError, spans_from_json, spans_from_protobuf
from flowrun.tracking.trace_entities import SpanBatch

MAX_BYTES = 64 * 2**20
"""Of a request, as it comes and unpacked."""

_PROTOBUF, _JSON = b"application/x-protobuf", b"application/json"
# How zlib is told of each form; the second of deflate is what some senders take it for.
_WINDOWS = {b"gzip": (31,), b"deflate": (15, -15)}


def export_spans(call: Call) -> Response:
    """Keep the spans of an OpenTelemetry exporter."""
    kind = call.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind not in {_PROTOBUF, _JSON}:
        raise InvalidValueError(
            f"Invalid Content-Type: {_shown(kind)}. "
            f"Expected: {_PROTOBUF.decode()} or {_JSON.decode()}"
        )
    experiment_id = _shown(call.headers.get(b"x-mlflow-experiment-id", b""))
    if not experiment_id:
        raise UnprocessableError(
            "The header x-mlflow-experiment-id is missing: it says where traces belong."
        )
    batches = _batches(kind, _body(call.body, call.headers))
    run_id = _shown(call.headers.get(b"x-mlflow-run-id", b"")) or None
    call.traces.log_spans(experiment_id, batches, run_id=run_id)
    # An empty ExportTraceServiceResponse: everything was taken.
    body = b"" if kind == _PROTOBUF else b"{}"
    return Response(
        200, [(b"content-type", kind), (b"content-length", str(len(body)).encode())], body
    )


def _batches(kind: bytes, body: bytes) -> list[SpanBatch]:
    try:
        batches = spans_from_json(body) if kind == _JSON else spans_from_protobuf(body)
    except MissingIdError as error:
        raise UnprocessableError(error.message) from error
    if not batches:
        raise InvalidValueError("Invalid OpenTelemetry format - no spans found")
    return batches


def _body(file: BinaryIO, headers: Mapping[bytes, bytes]) -> bytes:
    packed = file.read(MAX_BYTES + 1)
    if len(packed) > MAX_BYTES:
        raise _too_large()
    encoding = headers.get(b"content-encoding", b"identity").strip().lower()
    if encoding in {b"identity", b""}:
        return packed
    if encoding not in _WINDOWS:
        raise InvalidValueError(f"Unsupported Content-Encoding: {_shown(encoding)}")
    for window in _WINDOWS[encoding]:
        if (body := _unpacked(packed, window)) is not None:
            return body
    raise InvalidValueError(f"Failed to decompress {_shown(encoding)} payload")


def _unpacked(packed: bytes, window: int) -> bytes | None:
    """Give what was packed, or None if it was not packed so, or is cut off."""
    unpacker = zlib.decompressobj(window)
    try:
        body = unpacker.decompress(packed, MAX_BYTES + 1)
    except zlib.error:
        return None
    if len(body) > MAX_BYTES:
        raise _too_large()
    return body if unpacker.eof else None


def _too_large() -> InvalidValueError:
    return InvalidValueError(f"The request is larger than {MAX_BYTES} bytes; send smaller batches.")


def _shown(header: bytes) -> str:
    return header.strip().decode("latin-1")


ROUTES = (
    Route("POST", "/v1/traces", Permission.WRITE, export_spans, is_slow=True, takes_file=True),
)
