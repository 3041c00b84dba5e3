"""What the parts of the SQL trace store share: rows of traces, read and put together."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from flowrun.errors import NotFoundError
from flowrun.tracking import limits
from flowrun.tracking.sql.database import Connection, Database
from flowrun.tracking.sql.experiments import StoredExperiment
from flowrun.tracking.sql.part import below, chunks, marks
from flowrun.tracking.trace_entities import (
    Assessment,
    AssessmentError,
    AssessmentKind,
    TraceInfo,
    TraceState,
)


class TracePart:
    """The common ground of the parts that `SqlTraceStore` is put together from."""

    def __init__(
        self, database: Database, *, now: Callable[[], int], new_id: Callable[[], str]
    ) -> None:
        self._database = database
        self._now = now
        self._new_id = new_id


class StoredTrace(NamedTuple):
    """A row of the table, without what hangs on it."""

    trace_pk: int
    trace_id: str
    experiment_id: int
    timestamp_ms: int
    execution_time_ms: int | None
    status: str
    client_request_id: str | None
    request_preview: str | None
    response_preview: str | None
    is_told: int


TRACE_COLUMNS = ", ".join(StoredTrace._fields)
_SELECT = f"SELECT {TRACE_COLUMNS} FROM traces WHERE trace_id = :trace_id"
_SET_TAG = """
    INSERT INTO trace_tags (trace_pk, key, value) VALUES (?, ?, ?)
    ON CONFLICT (trace_pk, key) DO UPDATE SET value = excluded.value
"""
_ADD_TAG = """
    INSERT INTO trace_tags (trace_pk, key, value) VALUES (?, ?, ?) ON CONFLICT DO NOTHING
"""
_SET_METADATA = """
    INSERT INTO trace_metadata (trace_pk, key, value) VALUES (?, ?, ?)
    ON CONFLICT (trace_pk, key) DO UPDATE SET value = excluded.value
"""
_ADD_METADATA = """
    INSERT INTO trace_metadata (trace_pk, key, value) VALUES (?, ?, ?) ON CONFLICT DO NOTHING
"""


class StoredAssessment(NamedTuple):
    """A row of the table."""

    trace_pk: int
    assessment_id: str
    name: str
    kind: str
    value: str
    number: float | None
    error: str | None
    span_id: str | None
    source_type: str
    source_id: str
    rationale: str | None
    assessment_metadata: str
    overrides: str | None
    is_valid: int
    create_time_ms: int
    last_update_time_ms: int


ASSESSMENT_COLUMNS = ", ".join(StoredAssessment._fields)


def find_trace(connection: Connection, trace_id: str) -> StoredTrace:
    """Give a trace's row; NotFoundError if there is none."""
    row = look_for_trace(connection, trace_id)
    if row is None:
        raise NotFoundError(f"Trace with ID '{trace_id}' not found.")
    return row


def look_for_trace(connection: Connection, trace_id: str) -> StoredTrace | None:
    """Give a trace's row; None if there is none."""
    row = connection.execute(_SELECT, {"trace_id": trace_id}).fetchone()
    return None if row is None else StoredTrace._make(row)


def artifact_location(experiment: StoredExperiment, trace_id: str) -> str:
    """Give the URI below which a trace's files lie."""
    return below(experiment.artifact_location, "traces", trace_id, "artifacts")


def set_tags(connection: Connection, trace_pk: int, tags: Mapping[str, str]) -> None:
    """Set or replace tags."""
    connection.executemany(_SET_TAG, _rows(trace_pk, tags, limits.MAX_TRACE_TAG_VALUE_LENGTH))


def add_tags(connection: Connection, trace_pk: int, tags: Mapping[str, str]) -> None:
    """Set tags that the trace does not have."""
    connection.executemany(_ADD_TAG, _rows(trace_pk, tags, limits.MAX_TRACE_TAG_VALUE_LENGTH))


def set_metadata(connection: Connection, trace_pk: int, metadata: Mapping[str, str]) -> None:
    """Set or replace metadata."""
    rows = _rows(trace_pk, metadata, limits.MAX_TRACE_METADATA_VALUE_LENGTH)
    connection.executemany(_SET_METADATA, rows)


def add_metadata(connection: Connection, trace_pk: int, metadata: Mapping[str, str]) -> None:
    """Set metadata that the trace does not have."""
    rows = _rows(trace_pk, metadata, limits.MAX_TRACE_METADATA_VALUE_LENGTH)
    connection.executemany(_ADD_METADATA, rows)


def read_infos(connection: Connection, stored: Sequence[StoredTrace]) -> list[TraceInfo]:
    """Give the traces of some rows, with tags, metadata and assessments."""
    return [info for part in chunks(stored) for info in _read_infos(connection, part)]


def read_info(connection: Connection, trace_id: str) -> TraceInfo:
    """Give a trace; NotFoundError if there is none."""
    return read_infos(connection, [find_trace(connection, trace_id)])[0]


def stored_traces(
    connection: Connection, trace_ids: Iterable[str], experiment_ids: Sequence[int] | None
) -> list[StoredTrace]:
    """Give the rows of those traces that are there, in their order, each once."""
    wanted = list(dict.fromkeys(trace_ids))
    found: dict[str, StoredTrace] = {}
    for part in chunks(wanted):
        rows = connection.execute(
            f"SELECT {TRACE_COLUMNS} FROM traces WHERE trace_id IN ({marks(part)})", part
        )
        found |= {row[1]: StoredTrace._make(row) for row in rows}
    among = None if experiment_ids is None else set(experiment_ids)
    traces = [found[trace_id] for trace_id in wanted if trace_id in found]
    return [trace for trace in traces if among is None or trace.experiment_id in among]


def assessment_of(row: StoredAssessment, trace_id: str) -> Assessment:
    """Give the assessment of a row."""
    return Assessment(
        trace_id=trace_id,
        name=row.name,
        kind=AssessmentKind(row.kind),
        value=json.loads(row.value),
        source_type=row.source_type,
        source_id=row.source_id,
        create_time_ms=row.create_time_ms,
        last_update_time_ms=row.last_update_time_ms,
        assessment_id=row.assessment_id,
        span_id=row.span_id,
        error=None if row.error is None else AssessmentError(*json.loads(row.error)),
        rationale=row.rationale,
        metadata=json.loads(row.assessment_metadata),
        overrides=row.overrides,
        is_valid=bool(row.is_valid),
    )


def _read_infos(connection: Connection, stored: Sequence[StoredTrace]) -> list[TraceInfo]:
    trace_pks = [trace.trace_pk for trace in stored]
    ids = {trace.trace_pk: trace.trace_id for trace in stored}
    tags = _pairs(connection, "trace_tags", trace_pks)
    metadata = _pairs(connection, "trace_metadata", trace_pks)
    assessments: defaultdict[int, list[Assessment]] = defaultdict(list)
    for row in connection.execute(
        f"SELECT {ASSESSMENT_COLUMNS} FROM assessments WHERE trace_pk IN ({marks(trace_pks)})"
        " ORDER BY create_time_ms, assessment_id",
        trace_pks,
    ):
        assessment = StoredAssessment._make(row)
        pk = assessment.trace_pk
        assessments[pk].append(assessment_of(assessment, ids[pk]))
    return [
        TraceInfo(
            trace_id=trace.trace_id,
            experiment_id=str(trace.experiment_id),
            request_time_ms=trace.timestamp_ms,
            state=TraceState(trace.status),
            duration_ms=trace.execution_time_ms,
            client_request_id=trace.client_request_id,
            request_preview=trace.request_preview,
            response_preview=trace.response_preview,
            metadata=metadata.get(trace.trace_pk, {}),
            tags=tags.get(trace.trace_pk, {}),
            assessments=tuple(assessments.get(trace.trace_pk, ())),
        )
        for trace in stored
    ]


def _pairs(
    connection: Connection, table: str, trace_pks: Sequence[int]
) -> dict[int, dict[str, str]]:
    pairs: defaultdict[int, dict[str, str]] = defaultdict(dict)
    for trace_pk, key, value in connection.execute(
        f"SELECT trace_pk, key, value FROM {table} WHERE trace_pk IN ({marks(trace_pks)})",
        trace_pks,
    ):
        pairs[trace_pk][key] = value
    return pairs


def _rows(trace_pk: int, pairs: Mapping[str, str], longest: int) -> list[tuple[int, str, str]]:
    return [
        (trace_pk, key, value[:longest])
        for key, value in pairs.items()
        if 0 < len(key) <= limits.MAX_TRACE_KEY_LENGTH
    ]
