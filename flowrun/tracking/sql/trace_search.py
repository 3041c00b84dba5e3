"""Searches for traces: filters and orderings to SQL.

A comparison with a tag or metadata becomes a join, as for runs; one with spans, assessments, runs
or prompts names the traces that have such a one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from flowrun.tracking.filters import Comparison, Entity
from flowrun.tracking.span_wire import attribute_text
from flowrun.tracking.sql.part import marks
from flowrun.tracking.sql.query import (
    RARE_LENGTH,
    SHORT_VALUE,
    Bound,
    Query,
    QueryParts,
    condition,
    direction,
    filter_by_pair,
)
from flowrun.tracking.trace_entities import SOURCE_RUN_METADATA
from flowrun.tracking.trace_filters import (
    Subject,
    TraceComparison,
    TraceOrdering,
    trace_comparisons,
    trace_orderings,
)

_COLUMNS = {
    "request_id": "traces.trace_id",
    "end_time_ms": "traces.timestamp_ms + COALESCE(traces.execution_time_ms, 0)",
}
_CAN_BE_NULL = {"execution_time_ms"}
_Text = tuple[str, tuple[Bound, ...]]


def traces_query(experiment_ids: Sequence[int], filter_text: str, order_by: Sequence[str]) -> Query:
    """Give the query for traces; its order ends with the newest first, then by trace id."""
    parts = filtered(experiment_ids, filter_text)
    orderings = trace_orderings(order_by)
    for ordering in orderings:
        _order(parts, ordering)
    ordered = {each.key for each in orderings if each.subject is Subject.ATTRIBUTE}
    if "timestamp_ms" not in ordered:
        parts.order.append("traces.timestamp_ms DESC")
    if "request_id" not in ordered:
        parts.order.append("traces.trace_id")
    return parts.query()


def filtered(experiment_ids: Sequence[int], *filter_texts: str) -> QueryParts:
    """Give a query for the traces that all of the filters find, in no order yet."""
    parts = QueryParts("traces", "trace_pk")
    for filter_text in filter_texts:
        comparisons = trace_comparisons(filter_text)
        for comparison in comparisons:
            _filter(parts, comparison)
        # One and the same span has to be as all of them say.
        of_spans = [text for each in comparisons if (text := _span_condition(each)) is not None]
        if of_spans:
            texts = " AND ".join(text for text, _ in of_spans)
            values = [value for _, bound in of_spans for value in bound]
            _only_among(parts, f"SELECT trace_pk FROM spans WHERE {texts}", *values)
    column = "+traces.experiment_id" if parts.is_looked_up else "traces.experiment_id"
    parts.only(f"{column} IN ({marks(experiment_ids)})", *experiment_ids)
    return parts


def _filter(parts: QueryParts, comparison: TraceComparison) -> None:
    match comparison.subject:
        case Subject.ATTRIBUTE:
            column = _COLUMNS.get(comparison.key, f"traces.{comparison.key}")
            text, values = _condition(column, comparison)
            parts.only(text, *values)
        case Subject.TAG:
            _filter_by_pair(parts, comparison, "trace_tags")
        case Subject.METADATA:
            _filter_by_pair(parts, comparison, "trace_metadata")
        case Subject.RUN:
            _filter_by_run(parts, comparison)
        case Subject.PROMPT:
            name, _, version = str(comparison.value).partition("/")
            prompts = "SELECT trace_pk FROM trace_prompts WHERE name = ? AND version = ?"
            _only_among(parts, prompts, name, version)
        case Subject.FEEDBACK | Subject.EXPECTATION | Subject.ISSUE:
            _filter_by_assessment(parts, comparison)
        case Subject.SPAN | Subject.SPAN_ATTRIBUTE | Subject.CONTENT:
            pass  # all of them together, in `filtered`


def _span_condition(comparison: TraceComparison) -> _Text | None:
    match comparison.subject:
        case Subject.SPAN:
            return _condition(comparison.key, comparison)
        case Subject.CONTENT:
            return _condition("content", comparison)
        case Subject.SPAN_ATTRIBUTE:
            return _attribute_condition(comparison)
        case _:
            return None


def _attribute_condition(comparison: TraceComparison) -> _Text:
    """Compare an attribute within the text of a span.

    Whether it is equal can be seen exactly. A pattern is looked for from the attribute's name on,
    so that it may also match what comes after its value, as in MLflow.
    """
    name, value = json.dumps(comparison.key, ensure_ascii=False), str(comparison.value)
    equal = (f"{name}: {attribute_text(value)}", f"{name}: {json.dumps(value)}")
    match comparison.operator:
        case "=":
            return f"({_holds} OR {_holds})", equal
        case "!=":
            return f"({_holds} AND NOT {_holds} AND NOT {_holds})", (f"{name}: ", *equal)
        case "RLIKE":
            begin = r'"(\\")?' if value.startswith("^") else r'"(\\")?.*'
            end = r'(\\")?"' if value.endswith("$") else ""
            pattern = f"{name}: {begin}{value.removeprefix('^').removesuffix('$')}{end}"
            return "content REGEXP ?", (pattern,)
        case _:
            return _condition(
                "content",
                TraceComparison(
                    Subject.CONTENT, "content", comparison.operator, f"%{name}: %{value}%"
                ),
            )


_holds = "length(replace(content, ?, '')) < length(content)"
"""That a text holds another one, with no character that means more than itself."""


def _filter_by_run(parts: QueryParts, comparison: TraceComparison) -> None:
    if comparison.operator != "=":
        said = TraceComparison(
            Subject.METADATA, SOURCE_RUN_METADATA, comparison.operator, comparison.value
        )
        _filter_by_pair(parts, said, "trace_metadata")
        return
    run_id = str(comparison.value)
    parts.is_looked_up = True
    _only_among(
        parts,
        "SELECT trace_pk FROM trace_runs WHERE run_id = ? UNION SELECT trace_pk FROM trace_metadata"
        f" WHERE key = '{SOURCE_RUN_METADATA}' AND value = ? AND length(value) <= {SHORT_VALUE}",
        run_id,
        run_id,
    )


def _filter_by_assessment(parts: QueryParts, comparison: TraceComparison) -> None:
    found = "SELECT trace_pk FROM assessments WHERE kind = ? AND name = ?"
    if comparison.subject is Subject.ISSUE:
        _only_among(parts, found, "issue", str(comparison.value))
        return
    found += " AND is_valid = 1"
    named: tuple[Bound, ...] = (comparison.subject.value, comparison.key)
    match comparison.operator:
        case "IS NULL":
            parts.only(f"traces.trace_pk NOT IN ({found})", *named)
        case "IS NOT NULL":
            _only_among(parts, found, *named)
        case "<" | "<=" | ">" | ">=":
            text, values = _condition("number", comparison)
            _only_among(parts, f"{found} AND {text}", *named, *values)
        case "=" | "!=":
            # A text is kept as JSON; 'true' and '5' also mean the boolean and the number.
            value = str(comparison.value)
            negation = "NOT " if comparison.operator == "!=" else ""
            spellings = (value, json.dumps(value, ensure_ascii=False))
            _only_among(parts, f"{found} AND value {negation}IN (?, ?)", *named, *spellings)
        case _:
            text, values = _condition("value", comparison)
            _only_among(parts, f"{found} AND {text}", *named, *values)


def _filter_by_pair(parts: QueryParts, comparison: TraceComparison, table: str) -> None:
    if comparison.operator == "RLIKE":
        _only_among(
            parts,
            f"SELECT trace_pk FROM {table} WHERE key = ? AND value REGEXP ?",
            comparison.key,
            str(comparison.value),
        )
        return
    value = str(comparison.value)
    if comparison.operator == "=" and len(value) < RARE_LENGTH:
        # Not a join: SQLite would look at the pairs of one trace after the other, to find few.
        _only_among(
            parts,
            f"SELECT trace_pk FROM {table} WHERE key = ? AND value = ?"
            f" AND length(value) <= {SHORT_VALUE}",
            comparison.key,
            value,
        )
        return
    filter_by_pair(parts, _plain(comparison), table, ("trace_pk",))


def _only_among(parts: QueryParts, traces: str, *values: Bound) -> None:
    parts.only(f"traces.trace_pk IN ({traces})", *values)


def _condition(column: str, comparison: TraceComparison) -> _Text:
    if comparison.operator == "RLIKE":
        return f"{column} REGEXP ?", (str(comparison.value),)
    return condition(column, _plain(comparison))


def _plain(comparison: TraceComparison) -> Comparison:
    return Comparison(Entity.TAG, comparison.key, comparison.operator, comparison.value)


def _order(parts: QueryParts, ordering: TraceOrdering) -> None:
    way = direction(is_ascending=ordering.is_ascending)
    if ordering.subject is Subject.ATTRIBUTE:
        column = _COLUMNS.get(ordering.key, f"traces.{ordering.key}")
        if ordering.key in _CAN_BE_NULL:
            parts.order.append(f"{column} IS NULL")
        parts.order.append(f"{column} {way}")
        return
    table = "trace_tags" if ordering.subject is Subject.TAG else "trace_metadata"
    alias = parts.next_alias()
    parts.join(
        f"LEFT JOIN {table} {alias} ON {alias}.trace_pk = traces.trace_pk AND {alias}.key = ?",
        ordering.key,
    )
    parts.order.append(f"{alias}.value IS NULL, {alias}.value {way}")
