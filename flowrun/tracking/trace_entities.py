"""Traces, their spans and what is said of them (assessments), after MLflow's data model.

A trace's id is `tr-` and the 32 hex digits of OpenTelemetry's, a span's 16 hex digits. Times are
milliseconds since the Unix epoch, UTC; a span's nanoseconds, as OpenTelemetry has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import TypeAlias

from flowrun.valueclass import valueclass

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
"""What JSON can say; never nan or an infinity, which it can't."""

# What clients read out of a trace's tags and metadata. Source: mlflow/tracing/constant.py.
NAME_TAG = "mlflow.traceName"
ARTIFACT_LOCATION_TAG = "mlflow.artifactLocation"
SPANS_LOCATION_TAG = "mlflow.trace.spansLocation"
SPANS_IN_STORE = "TRACKING_STORE"
SIZE_STATS_METADATA = "mlflow.trace.sizeStats"
TOKEN_USAGE_METADATA = "mlflow.trace.tokenUsage"  # noqa: S105 - tokens are words of a model
COST_METADATA = "mlflow.trace.cost"
SESSION_METADATA = "mlflow.trace.session"
USER_METADATA = "mlflow.trace.user"
SOURCE_RUN_METADATA = "mlflow.sourceRun"


class TraceState(StrEnum):
    """How a trace stands."""

    UNSPECIFIED = "STATE_UNSPECIFIED"
    OK = "OK"
    ERROR = "ERROR"
    IN_PROGRESS = "IN_PROGRESS"


class SpanStatus(StrEnum):
    """How a span ended, in OpenTelemetry's words."""

    UNSET = "UNSET"
    OK = "OK"
    ERROR = "ERROR"


class AssessmentKind(StrEnum):
    """What an assessment is."""

    FEEDBACK = "feedback"
    """A judgement of what came out."""
    EXPECTATION = "expectation"
    """What should have come out."""
    ISSUE = "issue"
    """A reference to a known problem."""


@valueclass
class AssessmentError:
    """Why there is no value."""

    code: str
    message: str | None = None
    stack_trace: str | None = None


@valueclass
class Assessment:
    """Something said of a trace or of one of its spans. For an issue `value` is its name."""

    trace_id: str
    name: str
    kind: AssessmentKind
    value: JsonValue
    source_type: str
    """HUMAN, LLM_JUDGE, CODE or SOURCE_TYPE_UNSPECIFIED."""
    source_id: str
    create_time_ms: int
    last_update_time_ms: int
    assessment_id: str = ""
    """`a-` and 32 hex digits; empty until the store has given it one."""
    span_id: str | None = None
    error: AssessmentError | None = None
    rationale: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    overrides: str | None = None
    """The id of the assessment that this one takes the place of."""
    is_valid: bool = True
    """False once another one has taken its place."""


@valueclass
class TraceInfo:
    """What is known of a trace without its spans."""

    trace_id: str
    experiment_id: str
    request_time_ms: int
    state: TraceState
    duration_ms: int | None = None
    client_request_id: str | None = None
    request_preview: str | None = None
    response_preview: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Said once, by the one who made the trace."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """May be changed later."""
    assessments: tuple[Assessment, ...] = ()


@valueclass
class SpanEvent:
    """Something that happened at one moment of a span, such as an exception."""

    name: str
    time_ns: int
    attributes: Mapping[str, JsonValue] = field(default_factory=dict)


@valueclass
class SpanLink:
    """A span, perhaps of another trace, that this one has to do with."""

    trace_id: str
    span_id: str
    attributes: Mapping[str, JsonValue] = field(default_factory=dict)


@valueclass
class Span:
    """One piece of work in a trace; the root has no parent."""

    trace_id: str
    span_id: str
    name: str
    start_time_ns: int
    parent_id: str | None = None
    end_time_ns: int | None = None
    """None while it goes on."""
    status: SpanStatus = SpanStatus.UNSET
    status_message: str = ""
    attributes: Mapping[str, JsonValue] = field(default_factory=dict)
    events: tuple[SpanEvent, ...] = ()
    links: tuple[SpanLink, ...] = ()


@valueclass
class SpanBatch:
    """Spans of one source, and what is known of the source (host, service name, ...)."""

    spans: tuple[Span, ...]
    resource: Mapping[str, JsonValue] = field(default_factory=dict)


@valueclass
class Trace:
    """A trace with its spans: the root first, then as they started."""

    info: TraceInfo
    spans: tuple[Span, ...]


@valueclass
class PromptVersion:
    """A version of a prompt, which is a registered model to the registry."""

    name: str
    version: str


@valueclass
class FilterCounts:
    """How many traces two filters find, alone and together, and how many there are."""

    first: int
    second: int
    both: int
    total: int
