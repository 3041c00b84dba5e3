"""MLflow's JSON for traces, in its third and second form.

Source: MLflow REST API; `TraceInfoV3`, `TraceInfo` and `Trace` of `service.proto`.
"""

from __future__ import annotations

from flowrun.tracking.assessment_wire import assessment_from, assessment_json
from flowrun.tracking.fields import Fields, JsonObject
from flowrun.tracking.proto_json import (
    duration_from,
    duration_json,
    enum_from,
    time_from,
    time_json,
)
from flowrun.tracking.span_wire import span_json
from flowrun.tracking.trace_entities import Trace, TraceInfo, TraceState
from flowrun.tracking.wire import compact, pairs_json

_STATES = tuple(TraceState)
_OLD_UNSPECIFIED = "TRACE_STATUS_UNSPECIFIED"
_OLD_STATES = (_OLD_UNSPECIFIED, *_STATES[1:])


def trace_info_json(info: TraceInfo) -> JsonObject:
    """Give MLflow's `TraceInfoV3`."""
    return compact(
        trace_id=info.trace_id,
        client_request_id=info.client_request_id,
        trace_location={
            "type": "MLFLOW_EXPERIMENT",
            "mlflow_experiment": {"experiment_id": info.experiment_id},
        },
        request_preview=info.request_preview,
        response_preview=info.response_preview,
        request_time=time_json(info.request_time_ms),
        execution_duration=None if info.duration_ms is None else duration_json(info.duration_ms),
        state=info.state.value,
        trace_metadata=dict(info.metadata) or None,
        assessments=[assessment_json(each) for each in info.assessments],
        tags=dict(info.tags) or None,
    )


def trace_info_from(fields: Fields, now_ms: int) -> TraceInfo:
    """Read MLflow's `TraceInfoV3`; a time that is not there is `now_ms`."""
    trace_id = fields.text("trace_id")
    request_time_ms = time_from(fields, "request_time")
    location = fields.nested("trace_location").nested("mlflow_experiment")
    return TraceInfo(
        trace_id=trace_id,
        experiment_id=location.text("experiment_id"),
        request_time_ms=now_ms if request_time_ms is None else request_time_ms,
        state=TraceState(enum_from(fields, "state", _STATES) or TraceState.UNSPECIFIED),
        duration_ms=duration_from(fields, "execution_duration"),
        client_request_id=fields.text_or_none("client_request_id") or None,
        request_preview=fields.text_or_none("request_preview"),
        response_preview=fields.text_or_none("response_preview"),
        metadata=fields.mapping("trace_metadata"),
        tags=fields.mapping("tags"),
        assessments=tuple(
            assessment_from(item, trace_id, now_ms) for item in fields.objects("assessments")
        ),
    )


def trace_json(trace: Trace) -> JsonObject:
    """Give MLflow's `Trace`: its info, and its spans as OpenTelemetry has them."""
    return {
        "trace_info": trace_info_json(trace.info),
        "spans": [span_json(span) for span in trace.spans],
    }


def old_trace_info_json(info: TraceInfo) -> JsonObject:
    """Give MLflow's `TraceInfo`, which clients before 3.0 know."""
    state = info.state
    return {
        "request_id": info.trace_id,
        "experiment_id": info.experiment_id,
        "timestamp_ms": info.request_time_ms,
        "execution_time_ms": info.duration_ms or 0,
        "status": _OLD_UNSPECIFIED if state is TraceState.UNSPECIFIED else state.value,
        "request_metadata": pairs_json(info.metadata),
        "tags": pairs_json(info.tags),
    }


def old_state_from(fields: Fields) -> TraceState:
    """Read MLflow's `TraceStatus`, which must be there."""
    fields.require("status")
    name = enum_from(fields, "status", _OLD_STATES) or _OLD_UNSPECIFIED
    return TraceState.UNSPECIFIED if name == _OLD_UNSPECIFIED else TraceState(name)
