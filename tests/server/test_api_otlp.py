"""OTLP over HTTP: what is taken, in both forms, and what hostile or wrong bytes get."""

from __future__ import annotations

import contextlib
import gzip
import json
import zlib
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from flowrun.errors import InvalidValueError
from flowrun.server.api_otlp import MAX_BYTES
from flowrun.tracking.otlp import spans_from_json, spans_from_protobuf
from tests.support.serving import Answer, Served, serving

PROTOBUF, JSON = "application/x-protobuf", "application/json"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("server")) as served:
        yield served


def export(
    server: Served, body: bytes, kind: str = PROTOBUF, experiment: str = "0", encoding: str = ""
) -> Answer:
    headers = {"Content-Type": kind, "x-mlflow-experiment-id": experiment}
    return server.call("POST", "/v1/traces", body, {**headers, "Content-Encoding": encoding})


def request(number: int, **changes: bytes) -> ExportTraceServiceRequest:
    made = ExportTraceServiceRequest()
    source = made.resource_spans.add()
    name = source.resource.attributes.add(key="service.name")
    name.value.string_value = "shop"
    span = source.scope_spans.add().spans.add(
        trace_id=number.to_bytes(16, "big"),
        span_id=number.to_bytes(8, "big"),
        name="root",
        start_time_unix_nano=1_700_000_000_000_000_000,
        end_time_unix_nano=1_700_000_000_250_000_000,
    )
    values: dict[str, dict[str, object]] = {
        "text": {"string_value": "größe"},
        "yes": {"bool_value": True},
        "minus": {"int_value": -5},
        "half": {"double_value": 0.5},
        "nan": {"double_value": float("nan")},
        "bytes": {"bytes_value": b"\x00\xff"},
        "nothing": {},
    }
    for key, value in values.items():
        pair = span.attributes.add(key=key)
        for field, content in value.items():
            setattr(pair.value, field, content)
    pair = span.attributes.add(key="list")
    pair.value.array_value.values.add().int_value = 1
    pair.value.array_value.values.add().kvlist_value.values.add(key="k").value.bool_value = False
    span.status.code = 2
    span.status.message = "bad"
    span.events.add(name="e", time_unix_nano=7).attributes.add(key="a").value.int_value = 1
    span.links.add(trace_id=b"\1" * 16, span_id=b"\2" * 8)
    for field, content in changes.items():
        setattr(span, field, content)
    return made


AS_JSON = {
    "resourceSpans": [
        {
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
            "scopeSpans": [
                {
                    "spans": [
                        {
                            "traceId": f"{2:032x}",
                            "spanId": f"{2:016X}",
                            "parentSpanId": "",
                            "name": "root",
                            "kind": 1,
                            "startTimeUnixNano": "1700000000000000000",
                            "endTimeUnixNano": 1700000000250000000,
                            "attributes": [
                                {"key": "text", "value": {"stringValue": "größe"}},
                                {"key": "yes", "value": {"boolValue": True}},
                                {"key": "minus", "value": {"intValue": "-5"}},
                                {"key": "half", "value": {"doubleValue": 0.5}},
                                {"key": "nan", "value": {"doubleValue": "NaN"}},
                                {"key": "bytes", "value": {"bytesValue": "AP8="}},
                                {"key": "nothing", "value": {}},
                                {
                                    "key": "list",
                                    "value": {
                                        "arrayValue": {
                                            "values": [
                                                {"intValue": 1},
                                                {
                                                    "kvlistValue": {
                                                        "values": [
                                                            {
                                                                "key": "k",
                                                                "value": {"boolValue": False},
                                                            }
                                                        ]
                                                    }
                                                },
                                            ]
                                        }
                                    },
                                },
                            ],
                            "status": {"code": 2, "message": "bad"},
                            "events": [
                                {
                                    "name": "e",
                                    "timeUnixNano": "7",
                                    "attributes": [{"key": "a", "value": {"intValue": 1}}],
                                }
                            ],
                            "links": [{"traceId": "01" * 16, "spanId": "02" * 8}],
                        }
                    ]
                }
            ],
        }
    ]
}


def test_both_forms_of_a_span_are_the_same() -> None:
    (binary,) = spans_from_protobuf(request(2).SerializeToString())
    (text,) = spans_from_json(json.dumps(AS_JSON).encode())
    assert binary == text
    (span,) = binary.spans
    assert span.attributes == {
        "text": "größe",
        "yes": True,
        "minus": -5,
        "half": 0.5,
        "nan": "NaN",
        "bytes": "AP8=",
        "nothing": None,
        "list": [1, {"k": False}],
    }
    assert binary.resource == {"service.name": "shop"}


PACKED = {
    "plain": ("", lambda body: body),
    "gzip": ("gzip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", lambda body: zlib.compress(body, wbits=-15)),
}


@pytest.mark.parametrize(("encoding", "pack"), PACKED.values(), ids=PACKED)
@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
def test_spans_are_kept_however_they_are_packed(
    server: Served, encoding: str, pack: Callable[[bytes], bytes], kind: str
) -> None:
    body = json.dumps(AS_JSON).encode() if kind == JSON else request(2).SerializeToString()
    answer = export(server, pack(body), kind, encoding=encoding)
    assert (answer.status, answer.headers["content-type"]) == (200, kind)
    assert answer.body == (b"{}" if kind == JSON else b"")
    path = f"/api/3.0/mlflow/traces/get?trace_id=tr-{2:032x}"
    trace = server.call("GET", path).json["trace"]
    info = trace["trace_info"]
    assert (info["state"], info["request_time"]) == ("ERROR", "2023-11-14T22:13:20Z")
    assert info["execution_duration"] == "0.250s"
    assert (info["tags"]["service.name"], info["tags"]["mlflow.traceName"]) == ("shop", "root")
    (span,) = trace["spans"]
    values = {pair["key"]: pair["value"] for pair in span["attributes"]}
    assert values["list"]["array_value"]["values"][0] == {"int_value": 1}
    assert values["nan"] == {"string_value": "NaN"}
    assert span["status"] == {"code": "STATUS_CODE_ERROR", "message": "bad"}


GOOD = request(3).SerializeToString()
REFUSED: dict[str, tuple[int, bytes, dict[str, str], str]] = {
    "another content type": (400, GOOD, {"kind": "text/plain"}, "Invalid Content-Type: text/plain"),
    "no experiment": (422, GOOD, {"experiment": ""}, "x-mlflow-experiment-id is missing"),
    "experiment unknown": (404, GOOD, {"experiment": "77"}, "No Experiment with id=77 exists"),
    "experiment no number": (400, GOOD, {"experiment": "a"}, "Invalid experiment ID 'a'"),
    "nothing": (400, b"", {}, "no spans found"),
    "no span id": (
        422,
        request(3, span_id=b"").SerializeToString(),
        {},
        "Cannot convert OpenTelemetry span",
    ),
    "no trace id": (
        422,
        request(3, trace_id=b"").SerializeToString(),
        {},
        "Cannot convert OpenTelemetry span",
    ),
    "id too long": (400, request(3, span_id=b"1" * 9).SerializeToString(), {}, "longer than"),
    "cut off": (400, GOOD[:-3], {}, "ends beyond its message"),
    "a group": (400, b"\x0b", {}, "wire type 3"),
    "endless number": (400, b"\xff" * 20, {}, "cut off or too long"),
    "field zero": (400, b"\x02\x00", {}, "has no number"),
    "too many fields": (400, b"\x0a\x00" * 500_001, {}, "more than 500000 fields"),
    "no gzip": (400, GOOD, {"encoding": "gzip"}, "Failed to decompress gzip payload"),
    "gzip cut off": (400, gzip.compress(GOOD)[:-9], {"encoding": "gzip"}, "Failed to decompress"),
    "encoding": (400, GOOD, {"encoding": "br"}, "Unsupported Content-Encoding: br"),
    "bomb": (
        400,
        gzip.compress(b"\0" * (MAX_BYTES + 1)),
        {"encoding": "gzip"},
        f"larger than {MAX_BYTES} bytes",
    ),
    "no json": (400, b"{", {"kind": JSON}, "the body is no JSON"),
    "json depth": (400, b"[" * 100_000, {"kind": JSON}, "the body is no JSON"),
    "json list": (400, b"[]", {"kind": JSON}, "no JSON object"),
    "json types": (400, b'{"resourceSpans": [1]}', {"kind": JSON}, "resourceSpans"),
    "json ids": (
        400,
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "xyz"}]}]}]}',
        {"kind": JSON},
        "traceId 'xyz' is no hex number",
    ),
}


@pytest.mark.parametrize(("status", "body", "how", "message"), REFUSED.values(), ids=REFUSED)
def test_what_can_not_be_taken_is_refused_for_good(
    server: Served, status: int, body: bytes, how: dict[str, str], message: str
) -> None:
    answer = export(server, body, **how)
    assert (answer.status, message in answer.json["message"]) == (status, True), answer.body


def test_values_within_values_have_a_limit() -> None:
    message = request(3)
    deep = message.resource_spans[0].scope_spans[0].spans[0].attributes.add(key="deep").value
    for _ in range(33):
        deep = deep.array_value.values.add()
    with pytest.raises(InvalidValueError, match="more than 32 deep"):
        spans_from_protobuf(message.SerializeToString())


@settings(max_examples=300, deadline=None)
@given(body=st.binary(max_size=200), at=st.integers(0, len(GOOD)), cut=st.integers(0, 40))
def test_no_bytes_do_more_than_be_refused(body: bytes, at: int, cut: int) -> None:
    for each in (body, GOOD[:at] + body + GOOD[at + cut :]):
        with contextlib.suppress(InvalidValueError):
            spans_from_protobuf(each)


@settings(max_examples=200, deadline=None)
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["resourceSpans", "scopeSpans", "spans", "attributes", "value"])
                | st.sampled_from(["traceId", "spanId", "key", "intValue", "arrayValue", "values"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=20,
    )
)
def test_no_json_does_more_than_be_refused(value: object) -> None:
    with contextlib.suppress(InvalidValueError):
        spans_from_json(json.dumps({"resourceSpans": [value]}).encode())
