"""MLflow's JSON for assessments.

Source: MLflow REST API; `assessments.proto`.
"""

from __future__ import annotations

import json
import re

from flowrun.errors import InvalidValueError
from flowrun.tracking.fields import Fields, JsonObject
from flowrun.tracking.proto_json import any_value, enum_from, time_from, time_json
from flowrun.tracking.trace_entities import (
    Assessment,
    AssessmentError,
    AssessmentKind,
    JsonValue,
)
from flowrun.tracking.wire import compact

_SOURCE_TYPES = ("SOURCE_TYPE_UNSPECIFIED", "HUMAN", "LLM_JUDGE", "CODE")
_JSON_FORMAT = "JSON_FORMAT"
_CAPITAL = re.compile(r"(?<=[a-z0-9])([A-Z])")


def assessment_json(assessment: Assessment) -> JsonObject:
    """Give MLflow's `Assessment`."""
    return compact(
        assessment_id=assessment.assessment_id or None,
        assessment_name=assessment.name,
        trace_id=assessment.trace_id,
        span_id=assessment.span_id,
        source={"source_type": assessment.source_type, "source_id": assessment.source_id},
        create_time=time_json(assessment.create_time_ms),
        last_update_time=time_json(assessment.last_update_time_ms),
        feedback=_feedback_json(assessment),
        expectation=_expectation_json(assessment),
        issue=_issue_json(assessment),
        rationale=assessment.rationale,
        metadata=dict(assessment.metadata) or None,
        overrides=assessment.overrides,
        valid=assessment.is_valid,
    )


def assessment_from(fields: Fields, trace_id: str, now_ms: int) -> Assessment:
    """Read MLflow's `Assessment`; times that are not there are `now_ms`."""
    kinds = [kind for kind in AssessmentKind if fields.has(kind)]
    if len(kinds) != 1:
        raise InvalidValueError(
            "Exactly one of `expectation`, `feedback`, or `issue` should be specified."
        )
    kind, source = kinds[0], fields.nested("source")
    value, error = _value_of(fields, kind)
    create_time_ms = time_from(fields, "create_time")
    last_update_time_ms = time_from(fields, "last_update_time")
    return Assessment(
        trace_id=trace_id,
        name=fields.text("assessment_name"),
        kind=kind,
        value=value,
        source_type=enum_from(source, "source_type", _SOURCE_TYPES) or _SOURCE_TYPES[0],
        source_id=source.text_or("source_id", "default"),
        create_time_ms=now_ms if create_time_ms is None else create_time_ms,
        last_update_time_ms=now_ms if last_update_time_ms is None else last_update_time_ms,
        assessment_id=fields.text_or("assessment_id"),
        span_id=fields.text_or_none("span_id") or None,
        error=error,
        rationale=fields.text_or_none("rationale") or None,
        metadata=fields.mapping("metadata"),
        overrides=fields.text_or_none("overrides") or None,
        is_valid=fields.flag("valid", default=True),
    )


def feedback_from(fields: Fields) -> tuple[JsonValue, AssessmentError | None]:
    """Read MLflow's `Feedback`."""
    error = fields.nested("error")
    return any_value(fields.json("value"), "feedback.value"), (
        AssessmentError(
            code=error.text_or("error_code"),
            message=error.text_or_none("error_message"),
            stack_trace=error.text_or_none("stack_trace"),
        )
        if fields.has("error")
        else None
    )


def expectation_from(fields: Fields) -> tuple[JsonValue]:
    """Read MLflow's `Expectation`, whose value may come as JSON in a text."""
    if not fields.has("serialized_value"):
        return (any_value(fields.json("value"), "expectation.value"),)
    serialized = fields.nested("serialized_value")
    form = serialized.text_or("serialization_format")
    if form != _JSON_FORMAT:
        raise InvalidValueError(
            f"Unknown serialization format: {form}. Only {_JSON_FORMAT} is supported."
        )
    text = serialized.text_or("value")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidValueError("The serialized value of an expectation is no JSON.") from None
    return (any_value(value, "expectation.serialized_value.value"),)


def mask_from(fields: Fields, name: str) -> frozenset[str]:
    """Read a field mask: names with commas between them, in JSON's or in protobuf's spelling."""
    value = fields.json(name)
    if isinstance(value, dict):
        paths = fields.nested(name).texts("paths")
    else:
        paths = fields.text(name).split(",")
    return frozenset(_CAPITAL.sub(r"_\1", path.strip()).lower() for path in paths)


def _value_of(fields: Fields, kind: AssessmentKind) -> tuple[JsonValue, AssessmentError | None]:
    inner = fields.nested(kind)
    match kind:
        case AssessmentKind.FEEDBACK:
            return feedback_from(inner)
        case AssessmentKind.EXPECTATION:
            return *expectation_from(inner), None
        case AssessmentKind.ISSUE:
            return inner.text("issue_name"), None


def _feedback_json(assessment: Assessment) -> JsonObject | None:
    if assessment.kind is not AssessmentKind.FEEDBACK:
        return None
    value: JsonObject = {"value": assessment.value}
    if (error := assessment.error) is not None:
        value["error"] = compact(
            error_code=error.code, error_message=error.message, stack_trace=error.stack_trace
        )
    return value


def _expectation_json(assessment: Assessment) -> JsonObject | None:
    if assessment.kind is not AssessmentKind.EXPECTATION:
        return None
    if isinstance(assessment.value, list | dict):
        text = json.dumps(assessment.value)
        return {"serialized_value": {"serialization_format": _JSON_FORMAT, "value": text}}
    return {"value": assessment.value}


def _issue_json(assessment: Assessment) -> JsonObject | None:
    if assessment.kind is not AssessmentKind.ISSUE:
        return None
    return {"issue_name": assessment.value}
