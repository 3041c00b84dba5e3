"""Spans out of OpenTelemetry's export request, in protobuf's binary form or in JSON.

Both give the same spans. Attributes are plain values; bytes become base64, nan and infinities
become texts, as in protobuf's JSON. A NUL, which PostgreSQL can't keep, becomes U+FFFD.
Source: opentelemetry-proto 1.5, trace.proto, common.proto and trace_service.proto;
https://opentelemetry.io/docs/specs/otlp/
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Callable

from flowrun.errors import InvalidValueError
from flowrun.tracking.fields import Fields
from flowrun.tracking.protobuf import Protobuf, double, malformed, signed
from flowrun.tracking.trace_entities import (
    JsonValue,
    Span,
    SpanBatch,
    SpanEvent,
    SpanLink,
    SpanStatus,
)

_MAX_DEPTH = 32
"""Of values within values."""
_MAX_TIME_NS = 2**63 - 1
_STATUS_NUMBERS = {0: SpanStatus.UNSET, 1: SpanStatus.OK, 2: SpanStatus.ERROR}
_STATUS_NAMES = {f"STATUS_CODE_{status}": status for status in SpanStatus}


class MissingIdError(InvalidValueError):
    """A span has no trace id or no span id."""


def spans_from_protobuf(body: bytes) -> list[SpanBatch]:
    """Read an ExportTraceServiceRequest.

    Raises:
        MissingIdError: a span has no id. InvalidValueError: the bytes are no such message.
    """
    reader = _Reader(Protobuf(body))
    parts = reader.data.fields(0, len(body))
    return [reader.batch(start, stop) for number, start, stop in parts if number == 1]


def spans_from_json(body: bytes) -> list[SpanBatch]:
    """Read an ExportTraceServiceRequest in JSON, in which ids are hex digits.

    Raises:
        MissingIdError: a span has no id. InvalidValueError: it is no such JSON.
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise malformed("the body is no JSON") from None
    if not isinstance(value, dict):
        raise malformed("the body is no JSON object")
    return [_json_batch(item) for item in Fields(value).objects("resourceSpans")]


def trace_id_of(digits: str) -> str:
    """Give MLflow's trace id for OpenTelemetry's."""
    return f"tr-{digits.rjust(32, '0')}"


class _Reader:
    """Reads each of the messages at a range of bytes."""

    def __init__(self, data: Protobuf) -> None:
        self.data = data

    def batch(self, start: int, stop: int) -> SpanBatch:
        resource: dict[str, JsonValue] = {}
        spans: list[Span] = []
        for number, first, end in self.data.fields(start, stop):
            if number == 1:  # Resource
                resource |= self._attributes(first, end, 1)
            elif number == 2:  # ScopeSpans
                spans += [
                    self._span(*part[1:]) for part in self.data.fields(first, end) if part[0] == 2
                ]
        return SpanBatch(tuple(spans), resource)

    def _span(self, start: int, stop: int) -> Span:
        trace_id = span_id = parent_id = name = message = ""
        start_ns = end_ns = code = 0
        attributes: dict[str, JsonValue] = {}
        events: list[SpanEvent] = []
        links: list[SpanLink] = []
        for number, first, end in self.data.fields(start, stop):
            match number:
                case 1:
                    trace_id = self.data.octets(first, end).hex()
                case 2:
                    span_id = self.data.octets(first, end).hex()
                case 4:
                    parent_id = self.data.octets(first, end).hex()
                case 5:
                    name = self._text(first, end)
                case 7:
                    start_ns = first
                case 8:
                    end_ns = first
                case 9:
                    self._attribute(first, end, attributes, 0)
                case 11:
                    events.append(self._event(first, end))
                case 13:
                    links.append(self._link(first, end))
                case 15:
                    message, code = self._status(first, end)
                case _:
                    pass
        return _make_span(
            trace_id=trace_id,
            span_id=span_id,
            parent_id=parent_id,
            name=name,
            start_time_ns=start_ns,
            end_time_ns=end_ns,
            status=_STATUS_NUMBERS.get(code, SpanStatus.UNSET),
            status_message=message,
            attributes=attributes,
            events=tuple(events),
            links=tuple(links),
        )

    def _event(self, start: int, stop: int) -> SpanEvent:
        name, time_ns, attributes = "", 0, {}
        for number, first, end in self.data.fields(start, stop):
            if number == 1:
                time_ns = first
            elif number == 2:
                name = self._text(first, end)
        attributes = self._attributes(start, stop, 3)
        return SpanEvent(name, _time(time_ns), attributes)

    def _link(self, start: int, stop: int) -> SpanLink:
        trace_id = span_id = ""
        for number, first, end in self.data.fields(start, stop):
            if number == 1:
                trace_id = self.data.octets(first, end).hex()
            elif number == 2:
                span_id = self.data.octets(first, end).hex()
        return SpanLink(trace_id_of(trace_id), span_id, self._attributes(start, stop, 4))

    def _status(self, start: int, stop: int) -> tuple[str, int]:
        message, code = "", 0
        for number, first, end in self.data.fields(start, stop):
            if number == 2:
                message = self._text(first, end)
            elif number == 3:
                code = first
        return message, code

    def _attributes(self, start: int, stop: int, number: int) -> dict[str, JsonValue]:
        """Read the attributes that a message has as its field of this number."""
        attributes: dict[str, JsonValue] = {}
        for each, first, end in self.data.fields(start, stop):
            if each == number:
                self._attribute(first, end, attributes, 0)
        return attributes

    def _attribute(self, start: int, stop: int, into: dict[str, JsonValue], depth: int) -> None:
        key, value = "", None
        for number, first, end in self.data.fields(start, stop):
            if number == 1:
                key = self._text(first, end)
            elif number == 2:
                value = self._value(first, end, depth)
        into[key] = value

    def _value(self, start: int, stop: int, depth: int) -> JsonValue:
        if depth > _MAX_DEPTH:
            raise _too_deep()
        value: JsonValue = None
        for number, first, end in self.data.fields(start, stop):
            match number:
                case 1:
                    value = self._text(first, end)
                case 2:
                    value = bool(first)
                case 3:
                    value = signed(first)
                case 4:
                    value = _json_number(double(first))
                case 5:
                    parts = self.data.fields(first, end)
                    value = [self._value(*part[1:], depth + 1) for part in parts if part[0] == 1]
                case 6:
                    pairs: dict[str, JsonValue] = {}
                    for part, inner, inner_end in self.data.fields(first, end):
                        if part == 1:
                            self._attribute(inner, inner_end, pairs, depth + 1)
                    value = pairs
                case 7:
                    value = base64.b64encode(self.data.octets(first, end)).decode()
                case _:
                    pass
        return value

    def _text(self, start: int, stop: int) -> str:
        return _clean(self.data.text(start, stop))


def _json_batch(fields: Fields) -> SpanBatch:
    spans = [
        _json_span(span)
        for scope in fields.objects("scopeSpans")
        for span in scope.objects("spans")
    ]
    return SpanBatch(tuple(spans), _json_attributes(fields.nested("resource")))


def _json_span(fields: Fields) -> Span:
    status = fields.nested("status")
    return _make_span(
        trace_id=_hex(fields, "traceId"),
        span_id=_hex(fields, "spanId"),
        parent_id=_hex(fields, "parentSpanId"),
        name=_clean(fields.text_or("name")),
        start_time_ns=fields.integer_or("startTimeUnixNano", 0),
        end_time_ns=fields.integer_or("endTimeUnixNano", 0),
        status=_json_status(status),
        status_message=_clean(status.text_or("message")),
        attributes=_json_attributes(fields),
        events=tuple(
            SpanEvent(
                _clean(event.text_or("name")),
                _time(event.integer_or("timeUnixNano", 0)),
                _json_attributes(event),
            )
            for event in fields.objects("events")
        ),
        links=tuple(
            SpanLink(
                trace_id_of(_hex(link, "traceId")), _hex(link, "spanId"), _json_attributes(link)
            )
            for link in fields.objects("links")
        ),
    )


def _json_status(fields: Fields) -> SpanStatus:
    code = fields.json("code")
    if isinstance(code, str):
        return _STATUS_NAMES.get(code, SpanStatus.UNSET)
    return _STATUS_NUMBERS.get(fields.integer_or("code", 0), SpanStatus.UNSET)


def _json_attributes(fields: Fields) -> dict[str, JsonValue]:
    return {
        _clean(item.text_or("key")): _json_value(item.nested("value"), 0)
        for item in fields.objects("attributes")
    }


_JSON_VALUES: dict[str, Callable[[Fields, int], JsonValue]] = {
    "stringValue": lambda value, _: _clean(value.text_or("stringValue")),
    "boolValue": lambda value, _: value.flag("boolValue"),
    "intValue": lambda value, _: value.integer("intValue"),
    "doubleValue": lambda value, _: _json_number(value.number("doubleValue")),
    "bytesValue": lambda value, _: value.text_or("bytesValue"),
    "arrayValue": lambda value, depth: [
        _json_value(item, depth + 1) for item in value.nested("arrayValue").objects("values")
    ],
    "kvlistValue": lambda value, depth: {
        _clean(item.text_or("key")): _json_value(item.nested("value"), depth + 1)
        for item in value.nested("kvlistValue").objects("values")
    },
}


def _json_value(fields: Fields, depth: int) -> JsonValue:
    if depth > _MAX_DEPTH:
        raise _too_deep()
    for name, read in _JSON_VALUES.items():
        if fields.has(name):
            return read(fields, depth)
    return None


def _hex(fields: Fields, name: str) -> str:
    text = fields.text_or(name)
    try:
        return binascii.unhexlify(text).hex()
    except ValueError:
        raise malformed(f"{name} '{text[:64]}' is no hex number") from None


def _make_span(
    *,
    trace_id: str,
    span_id: str,
    parent_id: str,
    name: str,
    start_time_ns: int,
    end_time_ns: int,
    status: SpanStatus,
    status_message: str,
    attributes: dict[str, JsonValue],
    events: tuple[SpanEvent, ...],
    links: tuple[SpanLink, ...],
) -> Span:
    if not trace_id or not span_id:
        raise MissingIdError("Cannot convert OpenTelemetry span to MLflow span: it has no id.")
    if len(trace_id) > 32 or len(span_id) > 16 or len(parent_id) > 16:
        raise malformed("an id is longer than 16 bytes for a trace, or 8 for a span")
    return Span(
        trace_id=trace_id_of(trace_id),
        span_id=span_id.rjust(16, "0"),
        name=name,
        start_time_ns=_time(start_time_ns),
        # a parent of nothing but zeros is how some say that there is none
        parent_id=parent_id.rjust(16, "0") if parent_id.strip("0") else None,
        end_time_ns=_time(end_time_ns) or None,
        status=status,
        status_message=status_message,
        attributes=attributes,
        events=events,
        links=links,
    )


def _time(time_ns: int) -> int:
    return min(max(time_ns, 0), _MAX_TIME_NS)


def _json_number(value: float) -> JsonValue:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _clean(text: str) -> str:
    return text.replace("\0", "\ufffd")


def _too_deep() -> InvalidValueError:
    return malformed(f"an attribute's values lie within each other more than {_MAX_DEPTH} deep")
