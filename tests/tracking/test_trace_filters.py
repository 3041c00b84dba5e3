"""MLflow's filter language for traces: what is refused, in its words."""

from __future__ import annotations

import pytest

from flowrun.errors import InvalidValueError
from flowrun.tracking.trace_filters import (
    Subject,
    TraceComparison,
    TraceOrdering,
    trace_comparisons,
    trace_orderings,
)

REFUSED = {
    "prefix": ("param.a = 'x'", "Invalid entity type 'param'. Valid values are"),
    "attribute": ("color = 'x'", "Invalid attribute key 'color' specified. Valid keys are"),
    "span key": ("span.color = 'x'", "Invalid span attribute 'color'. Supported attributes: name"),
    "span attribute without name": ("span.attributes.`` = 'x'", "cannot be empty"),
    "issue key": ("issue.name = 'x'", "Invalid issue attribute 'name'"),
    "number for a text": ("status = 5", "Expected a quoted string value for attributes"),
    "text for a number": ("timestamp_ms > '5'", "Expected a numeric value for numeric attribute"),
    "text for a score": ("feedback.a > '5'", "Expected a numeric value for feedback"),
    "number that is equal": ("feedback.a = 5", "Expected a quoted string value for feedback"),
    "operator": ("timestamp_ms LIKE '5'", "Invalid comparator 'LIKE' not one of"),
    "text is equal": ("trace.text = 'x'", "Invalid comparator '=' not one of"),
    "list of tags": ("tags.a IN ('x')", "Invalid comparator 'IN' not one of"),
    "null attribute": ("status IS NULL", "Invalid comparator 'IS NULL' not one of"),
    "prompt without version": ("prompt = 'p'", 'Expected format: prompt = "name/version"'),
    "or": ("status = 'OK' OR name = 'x'", "Invalid clause(s) in filter string: 'OR'"),
    "pattern": ("tags.a RLIKE '('", "Invalid pattern '(' of an RLIKE"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_a_filter_that_makes_no_sense_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidValueError) as error:
        trace_comparisons(text)
    assert message in error.value.message


def test_names_for_one_thing_mean_the_same() -> None:
    named = TraceComparison(Subject.TAG, "mlflow.traceName", "=", "x")
    for text in ("name = 'x'", "trace.name = 'x'", 'attributes.name = "x"'):
        assert trace_comparisons(text) == [named]
    early = TraceComparison(Subject.ATTRIBUTE, "timestamp_ms", "<", 5)
    for text in ("timestamp < 5", "trace.timestamp_ms < 5"):
        assert trace_comparisons(text) == [early]


def test_an_ordering_names_an_attribute_tag_or_metadata_once() -> None:
    assert trace_orderings(["timestamp DESC", "tags.a"]) == [
        TraceOrdering(Subject.ATTRIBUTE, "timestamp_ms", is_ascending=False),
        TraceOrdering(Subject.TAG, "a", is_ascending=True),
    ]
    for order_by in (["span.name"], ["timestamp", "timestamp_ms"], ["text"], ["timestamp UP"]):
        with pytest.raises(InvalidValueError):
            trace_orderings(order_by)
