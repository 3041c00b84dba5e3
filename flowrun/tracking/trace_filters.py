"""MLflow's filter language for traces: what its names mean.

The form of the language is that of all filters (`filter_syntax.py`). Traces have more to compare:

    trace.status = 'ERROR' AND span.type = 'LLM' AND feedback.correct = 'false' AND run_id = '...'

Source: SearchTraceUtils in mlflow/utils/search_utils.py of MLflow 3.17.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import StrEnum

from flowrun.errors import InvalidValueError
from flowrun.tracking.filter_syntax import (
    Clause,
    Kind,
    Token,
    parse_filter,
    parse_ordering,
    unquoted,
)
from flowrun.tracking.filters import (
    LIST_OPERATORS,
    NULL_OPERATORS,
    NUMERIC_OPERATORS,
    STRING_OPERATORS,
    FilterValue,
    list_value,
    shown,
    string_value,
)
from flowrun.tracking.safe_regex import check_regex
from flowrun.tracking.trace_entities import NAME_TAG, SOURCE_RUN_METADATA
from flowrun.valueclass import valueclass


class Subject(StrEnum):
    """What a comparison is about; the values are MLflow's words where it has one."""

    ATTRIBUTE = "attribute"
    TAG = "tag"
    METADATA = "request_metadata"
    SPAN = "span"
    SPAN_ATTRIBUTE = "span attribute"
    CONTENT = "text"
    """All that a span holds."""
    FEEDBACK = "feedback"
    EXPECTATION = "expectation"
    ISSUE = "issue"
    RUN = "run_id"
    PROMPT = "prompt"


@valueclass
class TraceComparison:
    """One condition; all conditions of a filter must hold, those on spans for one and the same."""

    subject: Subject
    key: str
    operator: str
    value: FilterValue


@valueclass
class TraceOrdering:
    """One key to order by: an attribute, tag or metadata."""

    subject: Subject
    key: str
    is_ascending: bool


NUMERIC_ATTRIBUTES = {
    **dict.fromkeys(("timestamp", "timestamp_ms"), "timestamp_ms"),
    **dict.fromkeys(("execution_time", "execution_time_ms"), "execution_time_ms"),
    **dict.fromkeys(("end_time", "end_time_ms"), "end_time_ms"),
}
"""Each with the one name that comparisons and orderings have."""

_TEXT_ATTRIBUTES = ("status", "request_id", "client_request_id")
# Attributes to those who write filters, but kept elsewhere.
_NAMES = {
    "name": (Subject.TAG, NAME_TAG),
    "run_id": (Subject.RUN, SOURCE_RUN_METADATA),
    "prompt": (Subject.PROMPT, ""),
    "text": (Subject.CONTENT, "content"),
}
_FILTERED = (*NUMERIC_ATTRIBUTES, *_TEXT_ATTRIBUTES, *_NAMES)
_ORDERED = (*NUMERIC_ATTRIBUTES, "status", "request_id", "experiment_id", "name", "run_id")
_PREFIXES = {
    **dict.fromkeys(("attribute", "attributes", "trace"), Subject.ATTRIBUTE),
    **dict.fromkeys(("tag", "tags"), Subject.TAG),
    **dict.fromkeys(("request_metadata", "metadata"), Subject.METADATA),
    "span": Subject.SPAN,
    "feedback": Subject.FEEDBACK,
    "expectation": Subject.EXPECTATION,
    "issue": Subject.ISSUE,
}
_SPAN_KEYS = ("name", "status", "type")
_SPAN_ATTRIBUTES = "attributes."
_ORDER_OPERATORS = (">", ">=", "<", "<=")
_TEXT_OPERATORS = (*STRING_OPERATORS, "RLIKE")
_OPERATORS = {
    Subject.TAG: (*_TEXT_OPERATORS, *NULL_OPERATORS),
    Subject.METADATA: (*_TEXT_OPERATORS, *NULL_OPERATORS),
    Subject.SPAN: (*_TEXT_OPERATORS, *LIST_OPERATORS),
    Subject.SPAN_ATTRIBUTE: _TEXT_OPERATORS,
    Subject.CONTENT: ("LIKE", "ILIKE"),
    Subject.FEEDBACK: (*_TEXT_OPERATORS, *_ORDER_OPERATORS, *NULL_OPERATORS),
    Subject.EXPECTATION: (*_TEXT_OPERATORS, *_ORDER_OPERATORS, *NULL_OPERATORS),
    Subject.ISSUE: ("=",),
    Subject.RUN: (*_TEXT_OPERATORS, *NULL_OPERATORS),
    Subject.PROMPT: ("=",),
}


def trace_comparisons(text: str) -> list[TraceComparison]:
    """Give the checked comparisons of a filter; none for an empty one.

    Raises:
        InvalidValueError: MLflow would refuse the filter; the message says why, in its words.
    """
    return [_comparison(clause) for clause in parse_filter(text)]


def trace_orderings(order_by: Sequence[str]) -> list[TraceOrdering]:
    """Give the checked keys to order by; each at most once."""
    result: list[TraceOrdering] = []
    for text in order_by:
        name, is_ascending = parse_ordering(text)
        subject, key = _identifier(name, _ORDERED)
        if subject is Subject.RUN:
            subject = Subject.METADATA
        if subject not in {Subject.ATTRIBUTE, Subject.TAG, Subject.METADATA}:
            raise InvalidValueError(f"Invalid identifier type '{subject.value}'")
        if any((subject, key) == (known.subject, known.key) for known in result):
            raise InvalidValueError(f"`order_by` contains duplicate fields: {list(order_by)}")
        result.append(TraceOrdering(subject, key, is_ascending))
    return result


def _comparison(clause: Clause) -> TraceComparison:
    subject, key = _identifier(clause.name, _FILTERED)
    operator = clause.operator.upper()
    allowed = _operators(subject, key)
    if operator not in allowed:
        raise InvalidValueError(f"Invalid comparator '{operator}' not one of '{shown(allowed)}'")
    value = None if clause.value is None else _value(subject, key, operator, clause.value)
    if operator == "RLIKE":
        check_regex(str(value))
    if subject is Subject.PROMPT and str(value).count("/") != 1:
        raise InvalidValueError(
            f"Invalid prompts filter value '{value}'. Expected format: prompt = \"name/version\""
        )
    return TraceComparison(subject, key, operator, value)


def _identifier(name: str, attributes: Collection[str]) -> tuple[Subject, str]:
    prefix, dot, rest = name.partition(".")
    if not dot or prefix[:1] == '"':
        subject, key = Subject.ATTRIBUTE, unquoted(name)
    else:
        prefix = unquoted(prefix)
        if prefix not in _PREFIXES:
            raise InvalidValueError(
                f"Invalid entity type '{prefix}'. Valid values are {shown(_PREFIXES)}"
            )
        subject, key = _PREFIXES[prefix], unquoted(rest)
    match subject:
        case Subject.ATTRIBUTE:
            return _attribute(key, attributes)
        case Subject.SPAN:
            return _span_key(key)
        case Subject.ISSUE if key != "id":
            raise InvalidValueError(f"Invalid issue attribute '{key}'. Supported attributes: id")
        case _:
            return subject, key


def _attribute(key: str, attributes: Collection[str]) -> tuple[Subject, str]:
    if key not in attributes:
        raise InvalidValueError(
            f"Invalid attribute key '{key}' specified. Valid keys are '{shown(attributes)}'"
        )
    if key in _NAMES:
        return _NAMES[key]
    return Subject.ATTRIBUTE, NUMERIC_ATTRIBUTES.get(key, key)


def _span_key(key: str) -> tuple[Subject, str]:
    if key.startswith(_SPAN_ATTRIBUTES):
        if name := unquoted(key.removeprefix(_SPAN_ATTRIBUTES)):
            return Subject.SPAN_ATTRIBUTE, name
        raise InvalidValueError("Span attribute name cannot be empty after 'attributes.'")
    if key == "content":
        return Subject.CONTENT, key
    if key not in _SPAN_KEYS:
        raise InvalidValueError(
            f"Invalid span attribute '{key}'. "
            f"Supported attributes: {', '.join(_SPAN_KEYS)}, attributes.<attribute_name>."
        )
    return Subject.SPAN, key


def _operators(subject: Subject, key: str) -> tuple[str, ...]:
    if subject is not Subject.ATTRIBUTE:
        # A trace's name is a tag that is compared like an attribute.
        return (*_OPERATORS[subject], *(LIST_OPERATORS if key == NAME_TAG else ()))
    if key in NUMERIC_ATTRIBUTES:
        return NUMERIC_OPERATORS
    return (*_TEXT_OPERATORS, *LIST_OPERATORS)


def _value(subject: Subject, key: str, operator: str, token: Token) -> FilterValue:
    if token.kind is Kind.LIST:
        return list_value(token)
    if subject is Subject.ATTRIBUTE and key in NUMERIC_ATTRIBUTES:
        return _number(token, f"numeric attribute: {key}")
    if subject in {Subject.FEEDBACK, Subject.EXPECTATION} and operator in _ORDER_OPERATORS:
        return _number(token, f"{subject.value} when using comparator '{operator}'")
    what = "attributes" if subject is Subject.ATTRIBUTE else f"{subject.value} (e.g. 'my-value')"
    return string_value(token, what)


def _number(token: Token, what: str) -> int | float:
    if token.kind is not Kind.NUMBER:
        raise InvalidValueError(f"Expected a numeric value for {what}. Got value {token.text}")
    try:
        return int(token.text)
    except ValueError:
        return float(token.text)
