"""The tables of traces, spans and assessments; see `tables.py` for what a declaration is for.

Traces have a row number (`trace_pk`) beside their id for the same reason as runs.
"""

from __future__ import annotations

from sqlalchemy import Index, Integer, Text, text
from sqlmodel import Field, SQLModel

from flowrun.tracking.sql.columns import BIG, CLUSTERED, FLOAT, STRICT
from flowrun.tracking.sql.query import SHORT_VALUE

_SHORT = text(f"length(value) <= {SHORT_VALUE}")


class TraceRow(SQLModel, table=True):
    """Traces. The indexes give the newest, and the newest of a state, without a sort of all."""

    __tablename__ = "traces"
    __table_args__ = (
        Index("traces_by_time", "experiment_id", "timestamp_ms"),
        Index("traces_by_status", "experiment_id", "status", "timestamp_ms"),
        Index("traces_by_client", "client_request_id"),
        STRICT,
    )
    trace_pk: int = Field(primary_key=True, sa_type=Integer)
    trace_id: str = Field(unique=True, sa_type=Text)
    experiment_id: int = Field(sa_type=Integer, foreign_key="experiments.experiment_id")
    timestamp_ms: int = Field(sa_type=BIG)
    execution_time_ms: int | None = Field(sa_type=BIG)
    status: str = Field(sa_type=Text)
    client_request_id: str | None = Field(sa_type=Text)
    request_preview: str | None = Field(sa_type=Text)
    response_preview: str | None = Field(sa_type=Text)
    is_told: int = Field(sa_type=Integer)
    """1 once the maker of the trace has said how it went; before, its spans tell."""


class TraceTagRow(SQLModel, table=True):
    """Tags of traces."""

    __tablename__ = "trace_tags"
    __table_args__ = (
        Index(
            "trace_tags_by_value",
            "key",
            "value",
            sqlite_where=_SHORT,
            postgresql_where=_SHORT,
        ),
        CLUSTERED,
    )
    trace_pk: int = Field(
        primary_key=True, sa_type=Integer, foreign_key="traces.trace_pk", ondelete="CASCADE"
    )
    key: str = Field(primary_key=True, sa_type=Text)
    value: str = Field(sa_type=Text)


class TraceMetadataRow(SQLModel, table=True):
    """Metadata of traces."""

    __tablename__ = "trace_metadata"
    __table_args__ = (
        Index(
            "trace_metadata_by_value",
            "key",
            "value",
            sqlite_where=_SHORT,
            postgresql_where=_SHORT,
        ),
        CLUSTERED,
    )
    trace_pk: int = Field(
        primary_key=True, sa_type=Integer, foreign_key="traces.trace_pk", ondelete="CASCADE"
    )
    key: str = Field(primary_key=True, sa_type=Text)
    value: str = Field(sa_type=Text)


class SpanRow(SQLModel, table=True):
    """Spans, whole in `content`; the columns beside it are what searches look at.

    Not clustered: what is long would lie between the keys that a search walks along.
    """

    __tablename__ = "spans"
    __table_args__ = (
        Index("spans_by_trace", "trace_pk", "span_id", unique=True),
        Index("spans_by_name", "name", "trace_pk"),
        Index("spans_by_type", "type", "trace_pk"),
        STRICT,
    )
    span_pk: int = Field(primary_key=True, sa_type=Integer)
    trace_pk: int = Field(sa_type=Integer, foreign_key="traces.trace_pk", ondelete="CASCADE")
    span_id: str = Field(sa_type=Text)
    parent_id: str | None = Field(sa_type=Text)
    name: str = Field(sa_type=Text)
    type: str | None = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    start_time_ns: int = Field(sa_type=BIG)
    end_time_ns: int | None = Field(sa_type=BIG)
    token_usage: str | None = Field(sa_type=Text)
    """JSON: what the span says it took; trace totals are added up from it."""
    cost: str | None = Field(sa_type=Text)
    """JSON, in US dollars."""
    content: str = Field(sa_type=Text)


class AssessmentRow(SQLModel, table=True):
    """Assessments; ids are unique within a trace. `value`, `error`, `metadata` hold JSON."""

    __tablename__ = "assessments"
    __table_args__ = (Index("assessments_by_name", "kind", "name"), CLUSTERED)
    trace_pk: int = Field(
        primary_key=True, sa_type=Integer, foreign_key="traces.trace_pk", ondelete="CASCADE"
    )
    assessment_id: str = Field(primary_key=True, sa_type=Text)
    name: str = Field(sa_type=Text)
    kind: str = Field(sa_type=Text)
    value: str = Field(sa_type=Text)
    number: float | None = Field(sa_type=FLOAT)
    """The value, if it is a number: for comparisons."""
    error: str | None = Field(sa_type=Text)
    span_id: str | None = Field(sa_type=Text)
    source_type: str = Field(sa_type=Text)
    source_id: str = Field(sa_type=Text)
    rationale: str | None = Field(sa_type=Text)
    assessment_metadata: str = Field(sa_type=Text)
    overrides: str | None = Field(sa_type=Text)
    is_valid: int = Field(sa_type=Integer)
    create_time_ms: int = Field(sa_type=BIG)
    last_update_time_ms: int = Field(sa_type=BIG)


class TraceRunRow(SQLModel, table=True):
    """Runs that traces were linked to."""

    __tablename__ = "trace_runs"
    __table_args__ = (Index("trace_runs_by_run", "run_id"), CLUSTERED)
    trace_pk: int = Field(
        primary_key=True, sa_type=Integer, foreign_key="traces.trace_pk", ondelete="CASCADE"
    )
    run_id: str = Field(primary_key=True, sa_type=Text)


class TracePromptRow(SQLModel, table=True):
    """Versions of prompts that traces used."""

    __tablename__ = "trace_prompts"
    __table_args__ = (Index("trace_prompts_by_name", "name", "version"), CLUSTERED)
    trace_pk: int = Field(
        primary_key=True, sa_type=Integer, foreign_key="traces.trace_pk", ondelete="CASCADE"
    )
    name: str = Field(primary_key=True, sa_type=Text)
    version: str = Field(primary_key=True, sa_type=Text)
