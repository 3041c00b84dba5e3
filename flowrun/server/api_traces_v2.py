"""Traces, as MLflow's clients before 3.0 speak of them, and as later ones still do in part."""

from __future__ import annotations

from flowrun.server.api_traces import delete_traces
from flowrun.server.messages import Call, Permission, Route
from flowrun.tracking.fields import JsonObject
from flowrun.tracking.proto_json import check_time
from flowrun.tracking.trace_entities import PromptVersion
from flowrun.tracking.trace_wire import old_state_from, old_trace_info_json
from flowrun.tracking.wire import compact

_MAX_RESULTS = 100


def start_trace(call: Call) -> JsonObject:
    """Make a trace that is in progress."""
    fields = call.fields
    info = call.traces.start_trace(
        fields.text("experiment_id"),
        check_time(fields.integer("timestamp_ms"), "timestamp_ms"),
        metadata=fields.pairs("request_metadata"),
        tags=fields.pairs("tags"),
    )
    return {"trace_info": old_trace_info_json(info)}


def end_trace(call: Call) -> JsonObject:
    """Say how a started trace ended."""
    fields = call.fields
    info = call.traces.end_trace(
        fields.text("request_id"),
        check_time(fields.integer("timestamp_ms"), "timestamp_ms"),
        old_state_from(fields),
        metadata=fields.pairs("request_metadata"),
        tags=fields.pairs("tags"),
    )
    return {"trace_info": old_trace_info_json(info)}


def get_trace_info(call: Call) -> JsonObject:
    """Give what is known of a trace without its spans, in the old form."""
    info = call.traces.get_trace_info(call.fields.text("request_id"))
    return {"trace_info": old_trace_info_json(info)}


def search_traces(call: Call) -> JsonObject:
    """Find traces of some experiments, in the old form."""
    fields = call.fields
    fields.require("experiment_ids")
    page = call.traces.search_traces(
        fields.texts("experiment_ids"),
        filter_text=fields.text_or("filter"),
        order_by=fields.texts("order_by"),
        max_results=fields.integer_or("max_results", _MAX_RESULTS),
        page_token=fields.text_or_none("page_token") or None,
    )
    return compact(
        traces=[old_trace_info_json(info) for info in page.items],
        next_page_token=page.next_page_token,
    )


def set_trace_tag(call: Call) -> JsonObject:
    """Set a tag of a trace."""
    fields = call.fields
    trace_id = fields.text("trace_id", alias="request_id")
    call.traces.set_trace_tag(trace_id, fields.text("key"), fields.text_or("value"))
    return {}


def delete_trace_tag(call: Call) -> JsonObject:
    """Remove a tag of a trace."""
    fields = call.fields
    call.traces.delete_trace_tag(fields.text("trace_id", alias="request_id"), fields.text("key"))
    return {}


def link_traces(call: Call) -> JsonObject:
    """Say that traces belong to a run."""
    fields = call.fields
    fields.require("trace_ids")
    call.traces.link_traces(fields.texts("trace_ids"), fields.text("run_id"))
    return {}


def link_prompts(call: Call) -> JsonObject:
    """Say that a trace used versions of prompts."""
    fields = call.fields
    fields.require("prompt_versions")
    prompts = [
        PromptVersion(item.text("name"), item.text("version"))
        for item in fields.objects("prompt_versions")
    ]
    call.traces.link_prompts(fields.text("trace_id"), prompts)
    return {}


_AT = "/api/2.0/mlflow/traces"
_READ, _WRITE = Permission.READ, Permission.WRITE

ROUTES = (
    Route("POST", _AT, _WRITE, start_trace),
    Route("GET", _AT, _READ, search_traces, is_slow=True),
    Route("POST", f"{_AT}/delete-traces", _WRITE, delete_traces, is_slow=True),
    Route("POST", f"{_AT}/link-to-run", _WRITE, link_traces),
    Route("POST", f"{_AT}/link-prompts", _WRITE, link_prompts),
    Route("GET", "/api/2.0/mlflow/unified-traces", _READ, search_traces, is_slow=True),
    Route("PATCH", f"{_AT}/{{request_id}}", _WRITE, end_trace),
    Route("GET", f"{_AT}/{{request_id}}/info", _READ, get_trace_info),
    Route("PATCH", f"{_AT}/{{request_id}}/tags", _WRITE, set_trace_tag),
    Route("DELETE", f"{_AT}/{{request_id}}/tags", _WRITE, delete_trace_tag),
    Route("PATCH", "/api/3.0/mlflow/traces/{trace_id}/tags", _WRITE, set_trace_tag),
    Route("DELETE", "/api/3.0/mlflow/traces/{trace_id}/tags", _WRITE, delete_trace_tag),
)
