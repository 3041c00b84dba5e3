"""Watches a run and tells it in plain lines, for a pipe, a file or a CI log."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TextIO, assert_never

from flowrun.engine.events import (
    CancelBegan,
    EnvEnded,
    EnvProgress,
    Event,
    PlanGrew,
    RunBegan,
    RunEnded,
    RunWatched,
    StepBegan,
    StepEnded,
    StepPaused,
    StepPrinted,
    StepProgress,
    StepStatus,
)
from flowrun.plan.evaluation import named_metrics
from flowrun.sources.source import Source
from flowrun.tracking.entities import Run

MARKS = {
    StepStatus.SUCCEEDED: "done",
    StepStatus.FAILED: "FAILED",
    StepStatus.SKIPPED: "skipped",
    StepStatus.KILLED: "KILLED",
    StepStatus.PENDING: "pending",
}
REUSED = "reused"
SHOWN_METRICS = 4
CHAMPION = "champion/"
"""Before the name of a metric of the model that an evaluation compares with."""


class PlainConsole:
    """One line for each thing that happens, each with its step's name in front."""

    def __init__(self, out: TextIO, *, shows_output: bool = True) -> None:
        self._out = out
        self._shows_output = shows_output
        self._lock = threading.Lock()

    def on(self, event: Event) -> None:
        """Write the event's line; the run goes on if nobody reads it, or the disk is full."""
        line = self._line(event)
        if line is None:
            return
        try:
            with self._lock:
                self._out.write(line + "\n")
                self._out.flush()
        except (OSError, ValueError):
            return

    def _line(self, event: Event) -> str | None:
        match event:
            case RunBegan():
                return began_line(event)
            case EnvProgress(step_ids, text):
                return f"{steps_text(step_ids)} | {text}"
            case StepBegan(step_id):
                return f"{step_id} | started"
            case StepProgress(step_id, text):
                return f"{step_id} | {text}"
            case StepPrinted(step_id, _, line):
                return f"{step_id} | {line}" if self._shows_output else None
            case StepPaused():
                return f"{event.step_id} | {MARKS[StepStatus.FAILED]} {paused_text(event)}"
            case StepEnded():
                return f"{event.step_id} | {ended_text(event)}"
            case CancelBegan():
                return cancel_line(event)
            case RunWatched() | EnvEnded() | PlanGrew() | RunEnded():
                return None
            case _:
                assert_never(event)


def began_line(event: RunBegan) -> str:
    """Say what runs, from where, at which commit."""
    plan = event.plan
    name = plan.project_name or "project"
    count = sum(1 for step in plan.steps)
    steps = f", {count} step{'' if count == 1 else 's'}" if plan.is_pipeline else ""
    run = f" (run {event.run_id})" if event.run_id else ""
    return f"{name}: {plan.entry_point}{steps}, from {source_text(event.source)}{run}"


def source_text(source: Source) -> str:
    """Say where the code comes from, with its commit in short."""
    if source.commit is None:
        return f"{source.uri} (no commit)"
    dirty = ", with changes" if source.is_dirty else ""
    ref = f"{source.ref} = " if source.ref and not source.commit.startswith(source.ref) else ""
    return f"{source.uri} @ {ref}{source.commit[:10]}{dirty}"


def steps_text(step_ids: Sequence[str]) -> str:
    """Name the first of some steps, and say how many more there are."""
    more = len(step_ids) - 1
    return f"{step_ids[0]} and {more} more" if more else step_ids[0]


def ended_text(event: StepEnded) -> str:
    """Say how a step ended."""
    parts = [MARKS[event.status] if event.reused_from is None else REUSED]
    if event.reused_from is not None:
        parts.append(f"from run {event.reused_from}")
    elif event.status is not StepStatus.SKIPPED:
        parts += ["before it was resumed,"] if event.before else []
        parts.append(f"in {duration_text(event.duration_ms)}")
    if event.detail:
        parts.append(f"- {event.detail}")
    if event.is_tolerated:
        parts.append("(the run goes on)")
    shown = metrics_text(event.metrics, event.named)
    if shown and event.status is StepStatus.SUCCEEDED:
        parts.append(f"[{shown}]")
    return " ".join(parts)


def paused_text(event: StepPaused) -> str:
    """Say why an attempt failed, and when the next one comes."""
    failed = event.failed
    wait = f" in {duration_text(event.wait_ms)}" if event.wait_ms else ""
    return (
        f"in {duration_text(failed.duration_ms)} - {failed.detail}; "
        f"attempt {failed.number + 1} of {event.attempts}{wait}"
    )


def cancel_line(event: CancelBegan) -> str:
    """Say what a cancellation does."""
    by = f", as {event.by} asks" if event.by else ""
    if event.is_forced:
        return f"flowrun: killing all steps{by}"
    return f"flowrun: asking all steps to end{by} (once more to kill them at once)"


def metrics_text(metrics: Mapping[str, float], named: Sequence[str] = ()) -> str:
    """Give a few metrics: those that are named, each beside the champion's, then by name."""
    first = [name for name in named if name in metrics]
    beside = {f"{CHAMPION}{name}" for name in first}
    names = [*first, *sorted(set(metrics) - set(first) - beside)]
    shown = [
        f"{name} {metrics[name]:.4g}{_champions(name, metrics) if name in first else ''}"
        for name in names[: max(SHOWN_METRICS, len(first))]
    ]
    more = len(names) - len(shown)
    return ", ".join([*shown, f"{more} more"] if more > 0 else shown)


def run_metrics_text(run: Run) -> str:
    """Give a few metrics of a recorded run; of an evaluation those first that it is about."""
    metrics = {key: metric.value for key, metric in run.metrics.items()}
    return metrics_text(metrics, named_metrics(run.params))


def _champions(name: str, metrics: Mapping[str, float]) -> str:
    value = metrics.get(f"{CHAMPION}{name}")
    return "" if value is None else f" (champion {value:.4g})"


def duration_text(duration_ms: int) -> str:
    """Give a duration as people read it: `80 ms`, `1.2 s`, `3 min 5 s`, `2 h 10 min`."""
    if duration_ms < 1000:
        return f"{duration_ms} ms"
    seconds = duration_ms / 1000
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds_left = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {seconds_left} s"
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours} h {minutes_left} min"


def size_text(size_bytes: int) -> str:
    """Give a size as people read it: `80 bytes`, `812 KiB`, `3.4 MiB`, `1.2 GiB`."""
    if size_bytes < 1 << 10:
        return "1 byte" if size_bytes == 1 else f"{size_bytes} bytes"
    if size_bytes < 1 << 20:
        return f"{(size_bytes + 1023) >> 10} KiB"
    if size_bytes < 1 << 30:
        return f"{size_bytes / 2**20:.1f} MiB"
    return f"{size_bytes / 2**30:.1f} GiB"
