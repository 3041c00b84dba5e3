"""What spans tell of the trace that they belong to: times, state, previews, tokens, session.

A trace whose maker sends no summary of it (any OpenTelemetry exporter) is known by this alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field

from flowrun.tracking import limits
from flowrun.tracking.span_conventions import INPUTS, OUTPUTS
from flowrun.tracking.trace_entities import (
    NAME_TAG,
    SESSION_METADATA,
    USER_METADATA,
    JsonValue,
    Span,
    SpanStatus,
    TraceState,
)
from flowrun.valueclass import valueclass

_TAG_PREFIX = "mlflow.traceTag."
_SESSION_NAMES = ("session.id", "gen_ai.conversation.id")
_USER_NAMES = ("user.id",)
_NS_PER_MS = 1_000_000
_MAX_SUM = 2**53  # of counts, so that every client reads them exactly


@valueclass
class TraceFacts:
    """What one batch of a trace's spans tells."""

    start_ms: int
    end_ms: int | None
    """None if none of them has ended."""
    state: TraceState | None = None
    """None without the root."""
    request_preview: str | None = None
    response_preview: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    """For a trace that nobody has said it of."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """For a trace that nobody has said it of."""


@valueclass
class Spent:
    """What one span says that it took, such as tokens; None if it says nothing."""

    span_id: str
    parent_id: str | None
    amounts: Mapping[str, JsonValue] | None


def trace_facts(spans: Sequence[Span]) -> TraceFacts:
    """Give what spans of one trace tell of it; at least one, with MLflow's attributes."""
    ends = [span.end_time_ns for span in spans if span.end_time_ns is not None]
    root = next((span for span in spans if span.parent_id is None), None)
    metadata = {
        SESSION_METADATA: _said(spans, _SESSION_NAMES),
        USER_METADATA: _said(spans, _USER_NAMES),
    }
    facts = TraceFacts(
        start_ms=min(span.start_time_ns for span in spans) // _NS_PER_MS,
        end_ms=max(ends) // _NS_PER_MS if ends else None,
        metadata={key: value for key, value in metadata.items() if value},
    )
    return facts if root is None else _with_root(facts, root)


def total(spent: Sequence[Spent]) -> dict[str, JsonValue] | None:
    """Add up what the spans of a whole trace took; None if none says anything.

    Some libraries say on a span what all spans below it took together: below a span that says
    something nothing is counted again.
    """
    by_id = {each.span_id: each for each in spent}
    sums: dict[str, JsonValue] = {}
    for each in spent:
        if each.amounts is None or _is_counted_above(each, by_id):
            continue
        for key, amount in each.amounts.items():
            if isinstance(amount, int | float) and not isinstance(amount, bool):
                before = sums.get(key, 0)
                assert isinstance(before, int | float)  # noqa: S101 - nothing else is put there
                sums[key] = max(-_MAX_SUM, min(before + amount, _MAX_SUM))
    return sums or None


def _is_counted_above(spent: Spent, by_id: Mapping[str, Spent]) -> bool:
    seen = {spent.span_id}
    parent = by_id.get(spent.parent_id or "")
    while parent is not None and parent.span_id not in seen:
        if parent.amounts is not None:
            return True
        seen.add(parent.span_id)
        parent = by_id.get(parent.parent_id or "")
    return False


def _with_root(facts: TraceFacts, root: Span) -> TraceFacts:
    tags = {NAME_TAG: root.name} if root.name else {}
    for key, value in root.attributes.items():
        if key.startswith(_TAG_PREFIX):
            tags[key.removeprefix(_TAG_PREFIX)] = as_text(value)
    return TraceFacts(
        start_ms=facts.start_ms,
        end_ms=facts.end_ms,
        state=TraceState.ERROR if root.status is SpanStatus.ERROR else TraceState.OK,
        request_preview=_preview(root.attributes.get(INPUTS), "user"),
        response_preview=_preview(root.attributes.get(OUTPUTS), "assistant"),
        tags=tags,
        metadata=facts.metadata,
    )


def as_text(value: JsonValue) -> str:
    """Give a value as a tag can have it: a text as it is, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _said(spans: Iterable[Span], names: Sequence[str]) -> str | None:
    for span in spans:
        for name in names:
            if value := span.attributes.get(name):
                return as_text(value)
    return None


def _preview(value: JsonValue, role: str) -> str | None:
    if value is None:
        return None
    text = _last_message(value, role) or json.dumps(value, ensure_ascii=False)
    most = limits.MAX_TRACE_PREVIEW_LENGTH
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _last_message(value: JsonValue, role: str) -> str | None:
    """Give the text of the last message of a role, in the forms that chat models are spoken to."""
    messages = value
    if isinstance(value, dict):
        messages = value.get("messages") or value.get("input") or value.get("output")
        choices = value.get("choices")
        if isinstance(choices, list) and choices and isinstance(choices[0], dict):
            messages = [choices[0].get("message")]
    if not isinstance(messages, list):
        return None
    said = [item for item in messages if isinstance(item, dict) and item.get("role") == role]
    content = said[-1].get("content") if said else None
    if isinstance(content, list):
        parts = [item.get("text") for item in content if isinstance(item, dict)]
        content = next((part for part in parts if isinstance(part, str)), None)
    return content if isinstance(content, str) else None
