"""Assessments of traces."""

from __future__ import annotations

from flowrun.server.messages import Call, Permission, Route
from flowrun.tracking.assessment_wire import (
    assessment_from,
    assessment_json,
    expectation_from,
    feedback_from,
    mask_from,
)
from flowrun.tracking.fields import JsonObject


def create_assessment(call: Call) -> JsonObject:
    """Add an assessment to a trace."""
    call.fields.require("assessment")
    fields = call.fields.nested("assessment")
    made = assessment_from(fields, call.fields.text("trace_id"), call.now())
    return {"assessment": assessment_json(call.traces.create_assessment(made))}


def get_assessment(call: Call) -> JsonObject:
    """Give an assessment."""
    trace_id, assessment_id = call.fields.text("trace_id"), call.fields.text("assessment_id")
    return {"assessment": assessment_json(call.traces.get_assessment(trace_id, assessment_id))}


def update_assessment(call: Call) -> JsonObject:
    """Change those parts of an assessment that the mask names."""
    call.fields.require("assessment")
    call.fields.require("update_mask")
    fields, mask = call.fields.nested("assessment"), mask_from(call.fields, "update_mask")
    changed = call.traces.update_assessment(
        call.fields.text("trace_id"),
        call.fields.text("assessment_id"),
        name=fields.text_or("assessment_name") if "assessment_name" in mask else None,
        feedback=feedback_from(fields.nested("feedback")) if "feedback" in mask else None,
        expectation=(
            expectation_from(fields.nested("expectation")) if "expectation" in mask else None
        ),
        rationale=fields.text_or("rationale") if "rationale" in mask else None,
        metadata=fields.mapping("metadata") if "metadata" in mask else None,
        is_valid=fields.flag("valid") if "valid" in mask else None,
    )
    return {"assessment": assessment_json(changed)}


def delete_assessment(call: Call) -> JsonObject:
    """Remove an assessment."""
    call.traces.delete_assessment(call.fields.text("trace_id"), call.fields.text("assessment_id"))
    return {}


_AT = "/api/3.0/mlflow/traces/{trace_id}/assessments"
_ONE = f"{_AT}/{{assessment_id}}"

ROUTES = (
    Route("POST", _AT, Permission.WRITE, create_assessment),
    Route("GET", _ONE, Permission.READ, get_assessment),
    Route("PATCH", _ONE, Permission.WRITE, update_assessment),
    Route("DELETE", _ONE, Permission.WRITE, delete_assessment),
)
