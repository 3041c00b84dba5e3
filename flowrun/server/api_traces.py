"""Traces, as MLflow's clients from 3.0 on speak of them."""

from __future__ import annotations

import math

from flowrun.errors import NotFoundError
from flowrun.server.api_artifacts import file_response
from flowrun.server.messages import Call, Permission, Response, Route
from flowrun.server.places import open_root
from flowrun.tracking.fields import JsonObject
from flowrun.tracking.span_wire import span_content
from flowrun.tracking.trace_entities import (
    ARTIFACT_LOCATION_TAG,
    SPANS_IN_STORE,
    SPANS_LOCATION_TAG,
    FilterCounts,
    Trace,
)
from flowrun.tracking.trace_wire import trace_info_from, trace_info_json, trace_json
from flowrun.tracking.wire import compact, number_json

_MAX_RESULTS = 100
_SMOOTHING = 0.5
"""Jeffreys' prior, added to each count."""


def record_trace(call: Call) -> JsonObject:
    """Make a trace, or complete the one that its spans made."""
    call.fields.require("trace")
    fields = call.fields.nested("trace").nested("trace_info")
    info = call.traces.record_trace(trace_info_from(fields, call.now()))
    return {"trace": {"trace_info": trace_info_json(info)}}


def get_trace_info(call: Call) -> JsonObject:
    """Give what is known of a trace without its spans."""
    info = call.traces.get_trace_info(call.fields.text("trace_id"))
    return {"trace": {"trace_info": trace_info_json(info)}}


def get_trace(call: Call) -> JsonObject:
    """Give a trace with its spans."""
    trace_id = call.fields.text("trace_id")
    allow_partial = call.fields.flag("allow_partial")
    return {"trace": trace_json(_trace(call, trace_id, allow_partial=allow_partial))}


def get_traces(call: Call) -> JsonObject:
    """Give those of some traces, with their spans, that are all there."""
    fields = call.fields
    fields.require("trace_ids")
    among = fields.texts("experiment_ids") if fields.has("experiment_ids") else None
    traces = call.traces.get_traces(fields.texts("trace_ids"), experiment_ids=among)
    return compact(traces=[trace_json(trace) for trace in traces])


def get_trace_infos(call: Call) -> JsonObject:
    """Give what is known of some traces without their spans."""
    fields = call.fields
    fields.require("trace_ids")
    among = fields.texts("experiment_ids") if fields.has("experiment_ids") else None
    infos = call.traces.get_trace_infos(fields.texts("trace_ids"), experiment_ids=among)
    return compact(trace_infos=[trace_info_json(info) for info in infos])


def search_traces(call: Call) -> JsonObject:
    """Find traces of some experiments."""
    fields = call.fields
    fields.require("locations")
    page = call.traces.search_traces(
        [
            item.nested("mlflow_experiment").text("experiment_id")
            for item in fields.objects("locations")
            if item.has("mlflow_experiment")
        ],
        filter_text=fields.text_or("filter"),
        order_by=fields.texts("order_by"),
        max_results=fields.integer_or("max_results", _MAX_RESULTS),
        page_token=fields.text_or_none("page_token") or None,
    )
    return compact(
        traces=[trace_info_json(info) for info in page.items],
        next_page_token=page.next_page_token,
    )


def delete_traces(call: Call) -> JsonObject:
    """Delete traces, by their ids or by age."""
    fields = call.fields
    deleted = call.traces.delete_traces(
        fields.text("experiment_id"),
        trace_ids=fields.texts("request_ids"),
        max_time_ms=fields.integer_or_none("max_timestamp_millis"),
        max_traces=fields.integer_or_none("max_traces"),
    )
    return {"traces_deleted": deleted}


def correlate_filters(call: Call) -> JsonObject:
    """Say how much two filters find the same traces."""
    fields = call.fields
    fields.require("experiment_ids")
    counts = call.traces.count_traces(
        fields.texts("experiment_ids"),
        fields.text("filter_string1"),
        fields.text("filter_string2"),
        base=fields.text_or("base_filter"),
    )
    return {
        "npmi": number_json(_npmi(counts, 0.0)),
        "npmi_smoothed": number_json(_npmi(counts, _SMOOTHING)),
        "filter1_count": counts.first,
        "filter2_count": counts.second,
        "joint_count": counts.both,
        "total_count": counts.total,
    }


def get_trace_artifact(call: Call) -> Response:
    """Give the bytes of a trace's spans, or of one of its attachments."""
    trace_id = call.fields.text("request_id")
    path = call.fields.text_or("path")
    info = call.traces.get_trace_info(trace_id)
    if not path and info.tags.get(SPANS_LOCATION_TAG) == SPANS_IN_STORE:
        return _spans_response(_trace(call, trace_id, allow_partial=True))
    root = info.tags.get(ARTIFACT_LOCATION_TAG)
    if root is None:
        raise NotFoundError(f"Trace with ID '{trace_id}' has no artifacts.")
    name = f"attachments/{path}" if path else "traces.json"
    return file_response(call, open_root(call.stores, root), name)


def _trace(call: Call, trace_id: str, *, allow_partial: bool) -> Trace:
    traces = call.traces.get_traces([trace_id], allow_partial=allow_partial)
    if traces:
        return traces[0]
    info = call.traces.get_trace_info(trace_id)
    if info.tags.get(SPANS_LOCATION_TAG) == SPANS_IN_STORE:
        raise NotFoundError(
            f"Trace with ID {trace_id} is not fully exported yet, please try again later."
        )
    raise NotFoundError(
        f"The spans of trace with ID {trace_id} are not in the store.",
        f"They may be below {info.tags.get(ARTIFACT_LOCATION_TAG)}, as traces.json.",
    )


def _spans_response(trace: Trace) -> Response:
    # Each span is JSON already.
    spans = ",".join(span_content(span) for span in trace.spans)
    body = f'{{"spans":[{spans}]}}'.encode()
    headers = [
        (b"content-type", b"application/octet-stream"),
        (b"content-disposition", b'attachment; filename="traces.json"'),
        (b"x-content-type-options", b"nosniff"),
        (b"content-length", str(len(body)).encode()),
    ]
    return Response(200, headers, body)


def _npmi(counts: FilterCounts, smoothing: float) -> float:
    """Give the normalized pointwise mutual information: 1 always together, 0 by chance, -1 never.

    Source: mlflow/store/analytics/trace_correlation.py of MLflow 3.17 for the edges.
    """
    if min(counts.total, counts.first, counts.second) == 0:
        return math.nan
    if counts.both == 0 and not smoothing:
        return -1.0
    if counts.both == counts.total:
        return 1.0
    both, total = counts.both + smoothing, counts.total + 4 * smoothing
    first, second = counts.first + 2 * smoothing, counts.second + 2 * smoothing
    information = math.log(both * total / (first * second))
    return max(-1.0, min(1.0, information / -math.log(both / total)))


_AT = "/api/3.0/mlflow/traces"
_READ, _WRITE = Permission.READ, Permission.WRITE

ROUTES = (
    Route("POST", _AT, _WRITE, record_trace),
    Route("GET", f"{_AT}/get", _READ, get_trace, is_slow=True),
    Route("GET", f"{_AT}/batchGet", _READ, get_traces, is_slow=True),
    Route("POST", f"{_AT}/batchGetInfos", _READ, get_trace_infos, is_slow=True),
    Route("POST", f"{_AT}/search", _READ, search_traces, is_slow=True),
    Route("POST", f"{_AT}/delete-traces", _WRITE, delete_traces, is_slow=True),
    Route("POST", f"{_AT}/calculate-filter-correlation", _READ, correlate_filters, is_slow=True),
    Route("GET", f"{_AT}/{{trace_id}}", _READ, get_trace_info),
    *(
        Route(
            "GET",
            f"/ajax-api/{version}.0/mlflow/get-trace-artifact",
            _READ,
            get_trace_artifact,
            is_slow=True,
        )
        for version in (2, 3)
    ),
)
