"""Spans in SQL, and what they tell of their trace."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from flowrun.errors import InvalidValueError, NotFoundError
from flowrun.tracking import checks, limits
from flowrun.tracking.span_conventions import COST, TOKEN_USAGE, TYPE, with_mlflow_attributes
from flowrun.tracking.span_facts import Spent, TraceFacts, as_text, total, trace_facts
from flowrun.tracking.span_wire import span_content, span_from_content
from flowrun.tracking.sql.database import Connection
from flowrun.tracking.sql.experiments import find_active_experiment
from flowrun.tracking.sql.part import chunks, marks
from flowrun.tracking.sql.runs import find_run
from flowrun.tracking.sql.trace_infos import experiment_numbers, link_to_run
from flowrun.tracking.sql.trace_rows import (
    TRACE_COLUMNS,
    StoredTrace,
    TracePart,
    add_metadata,
    add_tags,
    artifact_location,
    look_for_trace,
    read_infos,
    set_metadata,
    set_tags,
    stored_traces,
)
from flowrun.tracking.trace_entities import (
    ARTIFACT_LOCATION_TAG,
    COST_METADATA,
    SIZE_STATS_METADATA,
    SPANS_IN_STORE,
    SPANS_LOCATION_TAG,
    TOKEN_USAGE_METADATA,
    JsonValue,
    Span,
    SpanBatch,
    Trace,
    TraceInfo,
    TraceState,
)

_INSERT_TRACE = f"""
    INSERT INTO traces (trace_id, experiment_id, timestamp_ms, status, is_told)
    VALUES (:trace_id, :experiment_id, :timestamp_ms, 'IN_PROGRESS', 0)
    RETURNING {TRACE_COLUMNS}
"""
_UPDATE_TRACE = """
    UPDATE traces SET
        timestamp_ms = :timestamp_ms,
        execution_time_ms = :execution_time_ms,
        status = :status,
        request_preview = COALESCE(request_preview, :request_preview),
        response_preview = COALESCE(response_preview, :response_preview)
    WHERE trace_pk = :trace_pk
"""


class _SpanRow(NamedTuple):
    trace_pk: int
    span_id: str
    parent_id: str | None
    name: str
    type: str | None
    status: str
    start_time_ns: int
    end_time_ns: int | None
    token_usage: str | None
    cost: str | None
    content: str


_PUT_SPAN = f"""
    INSERT INTO spans ({", ".join(_SpanRow._fields)})
    VALUES ({", ".join("?" for _ in _SpanRow._fields)})
    ON CONFLICT (trace_pk, span_id) DO UPDATE SET
        {", ".join(f"{name} = excluded.{name}" for name in _SpanRow._fields[2:])}
"""
_SELECT_SPENT = """
    SELECT span_id, parent_id, token_usage, cost FROM spans WHERE trace_pk = :trace_pk
"""
_HAS_METADATA = "SELECT 1 FROM trace_metadata WHERE trace_pk = :trace_pk AND key = :key"
_NOT_TAGS = ("telemetry.sdk.", "mlflow.")
"""How attributes of a source begin that say nothing of it, or are not for others to set."""


class SqlSpans(TracePart):
    """The spans of `SqlTraceStore`; what each call promises is told in the protocol."""

    def log_spans(
        self, experiment_id: str, batches: Sequence[SpanBatch], *, run_id: str | None = None
    ) -> None:
        """Keep spans of any number of traces, each in place of one with the same id."""
        spans: defaultdict[str, list[Span]] = defaultdict(list)
        sources: defaultdict[str, dict[str, JsonValue]] = defaultdict(dict)
        for batch in batches:
            for span in batch.spans:
                spans[span.trace_id].append(with_mlflow_attributes(span))
                sources[span.trace_id] |= batch.resource
        if not spans:
            return
        # All that takes time is done before writers have to wait.
        rows = {trace_id: [_row(span) for span in each] for trace_id, each in spans.items()}
        facts = {trace_id: trace_facts(each) for trace_id, each in spans.items()}
        with self._database.write(*(spans if len(spans) == 1 else ())) as connection:
            traces = [
                _log_trace(
                    connection,
                    _find_or_make(connection, trace_id, experiment_id, facts[trace_id]),
                    facts[trace_id],
                    rows[trace_id],
                    _tags_of(sources[trace_id]),
                )
                for trace_id in sorted(spans)
            ]
            if run_id:
                ended = [each for each in traces if facts[each.trace_id].state is not None]
                _link_if_there(connection, ended, run_id)

    def get_traces(
        self,
        trace_ids: Sequence[str],
        *,
        experiment_ids: Sequence[str] | None = None,
        allow_partial: bool = False,
    ) -> list[Trace]:
        """Give those of the traces whose spans are in the store, in the order asked for."""
        among = experiment_numbers(experiment_ids)
        with self._database.read() as connection:
            stored = stored_traces(connection, trace_ids, among)
            infos = read_infos(connection, stored)
            spans = _read_spans(connection, stored)
        return [
            Trace(info, tuple(spans[info.trace_id]))
            for info in infos
            if info.tags.get(SPANS_LOCATION_TAG) == SPANS_IN_STORE
            and (allow_partial or len(spans[info.trace_id]) >= _expected_spans(info))
        ]


def _row(span: Span) -> _SpanRow:
    longest = limits.MAX_TRACE_KEY_LENGTH  # of what is indexed
    kind = span.attributes.get(TYPE)
    return _SpanRow(
        trace_pk=0,
        span_id=span.span_id,
        parent_id=span.parent_id,
        name=span.name[:longest],
        type=kind[:longest] if isinstance(kind, str) else None,
        status=span.status,
        start_time_ns=span.start_time_ns,
        end_time_ns=span.end_time_ns,
        token_usage=_object_text(span.attributes.get(TOKEN_USAGE)),
        cost=_object_text(span.attributes.get(COST)),
        content=span_content(span),
    )


def _object_text(value: JsonValue) -> str | None:
    return json.dumps(value) if isinstance(value, dict) and value else None


def _find_or_make(
    connection: Connection, trace_id: str, experiment_id: str, facts: TraceFacts
) -> StoredTrace:
    trace = look_for_trace(connection, trace_id)
    if trace is not None:
        return trace
    experiment = find_active_experiment(connection, experiment_id)
    values = {
        "trace_id": trace_id,
        "experiment_id": experiment.experiment_id,
        "timestamp_ms": facts.start_ms,
    }
    trace = StoredTrace._make(connection.execute(_INSERT_TRACE, values).fetchone())
    location = {ARTIFACT_LOCATION_TAG: artifact_location(experiment, trace_id)}
    set_tags(connection, trace.trace_pk, location)
    return trace


def _log_trace(
    connection: Connection,
    trace: StoredTrace,
    facts: TraceFacts,
    rows: Iterable[_SpanRow],
    source_tags: Mapping[str, str],
) -> StoredTrace:
    trace_pk = trace.trace_pk
    rows = [row._replace(trace_pk=trace_pk) for row in rows]
    connection.executemany(_PUT_SPAN, rows)
    connection.execute(_UPDATE_TRACE, _updated(trace, facts))
    set_tags(connection, trace_pk, {SPANS_LOCATION_TAG: SPANS_IN_STORE})
    add_tags(connection, trace_pk, {**source_tags, **facts.tags})
    add_metadata(connection, trace_pk, facts.metadata)
    if any(row.token_usage or row.cost for row in rows):
        _add_up(connection, trace)
    return trace


def _updated(trace: StoredTrace, facts: TraceFacts) -> dict[str, object]:
    """Give a trace's columns after more of its spans came; what its maker said is not changed."""
    is_open = trace.status in {TraceState.IN_PROGRESS, TraceState.UNSPECIFIED}
    start_ms, duration_ms = trace.timestamp_ms, trace.execution_time_ms
    if not trace.is_told:
        ends = [end for end in (facts.end_ms, _end_of(trace)) if end is not None]
        start_ms = min(start_ms, facts.start_ms)
        duration_ms = max(ends) - start_ms if ends else None
    return {
        "trace_pk": trace.trace_pk,
        "timestamp_ms": start_ms,
        "execution_time_ms": duration_ms,
        "status": facts.state if is_open and facts.state else trace.status,
        "request_preview": facts.request_preview,
        "response_preview": facts.response_preview,
    }


def _end_of(trace: StoredTrace) -> int | None:
    if trace.execution_time_ms is None:
        return None
    return trace.timestamp_ms + trace.execution_time_ms


def _add_up(connection: Connection, trace: StoredTrace) -> None:
    """Set what all spans of a trace took together, unless its maker said that."""
    found = connection.execute(_SELECT_SPENT, {"trace_pk": trace.trace_pk}).fetchall()
    for column, key in ((2, TOKEN_USAGE_METADATA), (3, COST_METADATA)):
        spent = [
            Spent(row[0], row[1], json.loads(row[column]) if row[column] else None) for row in found
        ]
        sums = total(spent)
        where = {"trace_pk": trace.trace_pk, "key": key}
        is_said = trace.is_told and connection.execute(_HAS_METADATA, where).fetchone()
        if sums is not None and not is_said:
            set_metadata(connection, trace.trace_pk, {key: json.dumps(sums)})


def _tags_of(resource: Mapping[str, JsonValue]) -> dict[str, str]:
    """Give what is known of the source as tags, but for what can't be one."""
    tags = {}
    for key, value in resource.items():
        if key.startswith(_NOT_TAGS):
            continue
        try:
            tags[key] = checks.check_trace_tag(key, as_text(value))
        except InvalidValueError:
            continue
    return tags


def _link_if_there(connection: Connection, traces: Sequence[StoredTrace], run_id: str) -> None:
    """Link traces to a run. Spans are not lost because somebody names a run that is gone."""
    try:
        find_run(connection, run_id)
    except NotFoundError:
        return
    link_to_run(connection, traces, run_id)


def _read_spans(
    connection: Connection, stored: Sequence[StoredTrace]
) -> defaultdict[str, list[Span]]:
    ids = {trace.trace_pk: trace.trace_id for trace in stored}
    spans: defaultdict[str, list[Span]] = defaultdict(list)
    for part in chunks(list(ids)):
        for trace_pk, content in connection.execute(
            f"SELECT trace_pk, content FROM spans WHERE trace_pk IN ({marks(part)})"
            " ORDER BY CASE WHEN parent_id IS NULL THEN 0 ELSE 1 END, start_time_ns, span_id",
            part,
        ):
            spans[ids[trace_pk]].append(span_from_content(ids[trace_pk], content))
    return spans


def _expected_spans(info: TraceInfo) -> int:
    """Give how many spans the maker of a trace counted when it ended; 0 if it did not say."""
    try:
        stats = json.loads(info.metadata.get(SIZE_STATS_METADATA, "{}"))
    except ValueError:
        return 0
    count = stats.get("num_spans") if isinstance(stats, dict) else None
    return count if isinstance(count, int) else 0
