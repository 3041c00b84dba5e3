"""The promise of a trace store: one protocol for each noun, put together at the end.

As with the tracking store, every method is all or nothing, may be called from any thread, and
raises NotFoundError, InvalidValueError and StoreError of `flowrun.errors`.
Source: MLflow REST API; limits in `tracking/limits.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from flowrun.tracking.entities import Page
from flowrun.tracking.trace_entities import (
    Assessment,
    AssessmentError,
    FilterCounts,
    JsonValue,
    PromptVersion,
    SpanBatch,
    Trace,
    TraceInfo,
    TraceState,
)


class TraceInfoStore(Protocol):
    """Traces without their spans."""

    def record_trace(self, info: TraceInfo) -> TraceInfo:
        """Make a trace, or complete the one that its spans made before it.

        What `info` says of times and state counts, whatever spans come later; tags, metadata and
        assessments are added to those that are there. The answer has the tag
        `mlflow.artifactLocation`.
        """

    def start_trace(
        self,
        experiment_id: str,
        request_time_ms: int,
        *,
        metadata: Mapping[str, str],
        tags: Mapping[str, str],
    ) -> TraceInfo:
        """Make a trace that is IN_PROGRESS, with an id of the store's choice."""

    def end_trace(
        self,
        trace_id: str,
        end_time_ms: int,
        state: TraceState,
        *,
        metadata: Mapping[str, str],
        tags: Mapping[str, str],
    ) -> TraceInfo:
        """Say how a started trace ended; metadata and tags are added."""

    def get_trace_info(self, trace_id: str) -> TraceInfo:
        """Give a trace's info."""

    def get_trace_infos(
        self, trace_ids: Sequence[str], *, experiment_ids: Sequence[str] | None = None
    ) -> list[TraceInfo]:
        """Give those of the traces that are there, in the order asked for, each once.

        Args:
            trace_ids: any number.
            experiment_ids: only traces of these; None for all.
        """

    def search_traces(
        self,
        experiment_ids: Sequence[str],
        *,
        filter_text: str = "",
        order_by: Sequence[str] = (),
        max_results: int = 100,
        page_token: str | None = None,
    ) -> Page[TraceInfo]:
        """Find traces by MLflow's filter language; default order: newest first, then trace id."""

    def count_traces(
        self, experiment_ids: Sequence[str], first: str, second: str, *, base: str = ""
    ) -> FilterCounts:
        """Count what two filters find among the traces that `base` finds."""

    def delete_traces(
        self,
        experiment_id: str,
        *,
        trace_ids: Sequence[str] = (),
        max_time_ms: int | None = None,
        max_traces: int | None = None,
    ) -> int:
        """Delete traces for good, by their ids or by age; give how many there were.

        Args:
            experiment_id: no trace of another experiment is deleted.
            trace_ids: these, or, if empty,
            max_time_ms: those of this time or before it, the oldest first,
            max_traces: but no more than this.
        """

    def set_trace_tag(self, trace_id: str, key: str, value: str) -> None:
        """Set or replace a tag."""

    def delete_trace_tag(self, trace_id: str, key: str) -> None:
        """Remove a tag; NotFoundError if the trace has none of this key."""

    def link_traces(self, trace_ids: Sequence[str], run_id: str) -> None:
        """Say that traces belong to a run; those that are not there are passed over."""

    def link_prompts(self, trace_id: str, prompts: Sequence[PromptVersion]) -> None:
        """Say that a trace used versions of prompts."""


class SpanStore(Protocol):
    """Spans."""

    def log_spans(
        self, experiment_id: str, batches: Sequence[SpanBatch], *, run_id: str | None = None
    ) -> None:
        """Keep spans of any number of traces, each in place of one with the same id.

        A trace that is not there yet is made from them: its times, state, name, previews, session
        and token usage.

        Args:
            experiment_id: where traces are made that are not there yet.
            batches: the spans, source by source.
            run_id: a run that traces whose root span is here belong to.
        """

    def get_traces(
        self,
        trace_ids: Sequence[str],
        *,
        experiment_ids: Sequence[str] | None = None,
        allow_partial: bool = False,
    ) -> list[Trace]:
        """Give those of the traces whose spans are in the store, in the order asked for.

        Args:
            trace_ids: any number.
            experiment_ids: only traces of these; None for all.
            allow_partial: also traces that had more spans, when they ended, than are here yet.
        """


class AssessmentStore(Protocol):
    """Assessments."""

    def create_assessment(self, assessment: Assessment) -> Assessment:
        """Add an assessment; the one that it overrides becomes invalid."""

    def get_assessment(self, trace_id: str, assessment_id: str) -> Assessment:
        """Give an assessment."""

    def update_assessment(
        self,
        trace_id: str,
        assessment_id: str,
        *,
        name: str | None = None,
        feedback: tuple[JsonValue, AssessmentError | None] | None = None,
        expectation: tuple[JsonValue] | None = None,
        rationale: str | None = None,
        metadata: Mapping[str, str] | None = None,
        is_valid: bool | None = None,
    ) -> Assessment:
        """Change what is given; None leaves a field as it is, metadata is added.

        Args:
            trace_id: the trace.
            assessment_id: the assessment; its kind can't change.
            name: another name.
            feedback: another value and error.
            expectation: another value, wrapped since it may be None.
            rationale: another rationale.
            metadata: more metadata.
            is_valid: whether it still counts.
        """

    def delete_assessment(self, trace_id: str, assessment_id: str) -> None:
        """Remove an assessment if it is there; the one that it overrode is valid again."""


class TraceStore(TraceInfoStore, SpanStore, AssessmentStore, Protocol):
    """All of it; `close` gives connections back."""

    def close(self) -> None:
        """Close the store."""
