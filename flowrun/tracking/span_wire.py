"""The two JSON forms of a span: the one that is stored and downloaded, and OpenTelemetry's.

In MLflow's form (`traces.json`, and a row of the store) each attribute is a text that holds JSON;
in OpenTelemetry's, which `traces/get` answers with, it is a value with its type.
Source: `Span.to_dict` of MLflow 3.17 (its form since 3.6); opentelemetry-proto, trace.proto.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

from flowrun.tracking.fields import JsonObject
from flowrun.tracking.trace_entities import JsonValue, Span, SpanEvent, SpanLink, SpanStatus
from flowrun.tracking.wire import number_json

_STATUS_PREFIX = "STATUS_CODE_"


def span_content(span: Span) -> str:
    """Give the text that is stored, one JSON object."""
    return _dump(
        {
            "trace_id": _base64(span.trace_id.removeprefix("tr-")),
            "span_id": _base64(span.span_id),
            "parent_span_id": None if span.parent_id is None else _base64(span.parent_id),
            "name": span.name,
            "start_time_unix_nano": span.start_time_ns,
            "end_time_unix_nano": span.end_time_ns,
            "events": [
                {
                    "name": event.name,
                    "time_unix_nano": event.time_ns,
                    "attributes": dict(event.attributes),
                }
                for event in span.events
            ],
            "status": {
                "code": f"{_STATUS_PREFIX}{span.status}",
                "message": span.status_message,
            },
            "attributes": {key: _dump(value) for key, value in span.attributes.items()},
            "links": [
                {
                    "trace_id": link.trace_id,
                    "span_id": link.span_id,
                    "attributes": dict(link.attributes),
                }
                for link in span.links
            ],
        }
    )


def span_from_content(trace_id: str, content: str) -> Span:
    """Read a span that `span_content` wrote."""
    stored = json.loads(content)
    parent = stored["parent_span_id"]
    return Span(
        trace_id=trace_id,
        span_id=_hex(stored["span_id"]),
        name=stored["name"],
        start_time_ns=stored["start_time_unix_nano"],
        parent_id=None if parent is None else _hex(parent),
        end_time_ns=stored["end_time_unix_nano"],
        status=SpanStatus(stored["status"]["code"].removeprefix(_STATUS_PREFIX)),
        status_message=stored["status"]["message"],
        attributes={key: json.loads(value) for key, value in stored["attributes"].items()},
        events=tuple(
            SpanEvent(event["name"], event["time_unix_nano"], event["attributes"])
            for event in stored["events"]
        ),
        links=tuple(
            SpanLink(link["trace_id"], link["span_id"], link["attributes"])
            for link in stored["links"]
        ),
    )


def span_json(span: Span) -> JsonObject:
    """Give OpenTelemetry's `Span` as protobuf's JSON, with field names as they are."""
    value: JsonObject = {
        "trace_id": _base64(span.trace_id.removeprefix("tr-")),
        "span_id": _base64(span.span_id),
        "name": span.name,
        "start_time_unix_nano": span.start_time_ns,
        "attributes": _pairs_json(span.attributes),
        "status": {"code": f"{_STATUS_PREFIX}{span.status}", "message": span.status_message},
    }
    if span.parent_id is not None:
        value["parent_span_id"] = _base64(span.parent_id)
    if span.end_time_ns is not None:
        value["end_time_unix_nano"] = span.end_time_ns
    if span.events:
        value["events"] = [
            {
                "name": event.name,
                "time_unix_nano": event.time_ns,
                "attributes": _pairs_json(event.attributes),
            }
            for event in span.events
        ]
    if span.links:
        value["links"] = [
            {
                "trace_id": _base64(link.trace_id.removeprefix("tr-")),
                "span_id": _base64(link.span_id),
                "attributes": _pairs_json(link.attributes),
            }
            for link in span.links
        ]
    return value


def attribute_text(value: JsonValue) -> str:
    """Give an attribute's value as it stands in a stored span: JSON, as a text in JSON."""
    return _dump(_dump(value))


def _pairs_json(values: Mapping[str, JsonValue]) -> list[JsonObject]:
    return [{"key": key, "value": _value_json(value)} for key, value in values.items()]


def _value_json(value: JsonValue) -> JsonObject:
    match value:
        case None:
            return {}
        case bool():
            return {"bool_value": value}
        case int() if -(2**63) <= value < 2**63:
            return {"int_value": value}
        case int():
            return {"string_value": str(value)}
        case float():
            return {"double_value": number_json(value)}
        case str():
            return {"string_value": value}
        case list():
            return {"array_value": {"values": [_value_json(item) for item in value]}}
        case dict():
            return {"kvlist_value": {"values": _pairs_json(value)}}


def _dump(value: object) -> str:
    # Not ASCII only, so that a search for a text finds it as people write it.
    return json.dumps(value, ensure_ascii=False)


def _base64(digits: str) -> str:
    return base64.b64encode(bytes.fromhex(digits)).decode()


def _hex(text: str) -> str:
    return base64.b64decode(text).hex()
