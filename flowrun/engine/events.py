"""What happens while a plan is carried out, for whoever watches.

Events are told in the order in which they happen; those of different steps interleave.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import Protocol

from flowrun.executors.base import Stream
from flowrun.plan.plan import Plan
from flowrun.sources.source import Source
from flowrun.tracking.entities import RunStatus
from flowrun.valueclass import valueclass


class StepStatus(StrEnum):
    """How a step ended; the words of `steps.NAME.status` in expressions."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    KILLED = "killed"
    PENDING = "pending"
    """It did its part; somebody has to approve the rest."""


@valueclass
class RunBegan:
    """Everything is checked; a pipeline's parent run exists."""

    run_id: str | None
    """The parent run; None for a single command, whose run comes with its StepBegan."""
    run_name: str | None
    experiment_name: str
    plan: Plan
    source: Source


@valueclass
class RunWatched:
    """Somebody began to watch a run that another process carries out."""

    step_count: int


@valueclass
class EnvProgress:
    """An environment is resolved or built for steps that have not begun."""

    step_ids: tuple[str, ...]
    """The steps that wait for it, at least one."""
    text: str


@valueclass
class EnvEnded:
    """It is there, or can't be had; what was wrong, each of its steps says in its turn."""

    step_ids: tuple[str, ...]


@valueclass
class StepBegan:
    """A step's turn has come; its run exists."""

    step_id: str
    run_id: str
    age_ms: int = 0
    """How long ago that was: not 0 for whoever came later."""
    attempt: int = 1


@valueclass
class StepProgress:
    """Something that takes time before a step's command runs (an environment is built)."""

    step_id: str
    text: str


@valueclass
class StepPrinted:
    """A step's command printed a line."""

    step_id: str
    stream: Stream
    line: str


@valueclass
class Attempt:
    """One attempt at a step."""

    number: int
    """The first is 1; a resumed run counts on."""
    run_id: str | None
    duration_ms: int
    detail: str = ""
    """What went wrong; '' of one that ended well."""


@valueclass
class StepPaused:
    """An attempt at a step failed, and another will follow."""

    step_id: str
    failed: Attempt
    attempts: int
    """The number of the last attempt that there can be."""
    wait_ms: int


@valueclass
class Before:
    """When a step ran that ended well before its pipeline was resumed."""

    start_time_ms: int
    end_time_ms: int


@valueclass
class StepEnded:
    """A step is over. `detail` says in words what went wrong, or what an engine's step did."""

    step_id: str
    status: StepStatus
    run_id: str | None = None
    duration_ms: int = 0
    detail: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    named: tuple[str, ...] = ()
    """The metrics that the step itself names: they are told first."""
    is_tolerated: bool = False
    """It failed, but `continue_on_error` lets the pipeline go on as if it had not."""
    reused_from: str | None = None
    """It did not run: this finished run stands for it, and `run_id` is the same."""
    why: str = ""
    """Why a command ran, although it might have been reused."""
    attempts: tuple[Attempt, ...] = ()
    """All of them, if there was more than one; the last one stands for the step."""
    before: Before | None = None
    """It did not run now: it had ended well before the pipeline was resumed."""


@valueclass
class PlanGrew:
    """A `foreach` was decided: these steps came."""

    step_ids: tuple[str, ...]


@valueclass
class CancelBegan:
    """Everything that runs has been asked to end (`is_forced`: is being killed)."""

    is_forced: bool
    by: str = ""
    """Who asked for it from elsewhere."""


@valueclass
class RunEnded:
    """All is over and recorded."""

    run_id: str
    status: RunStatus
    duration_ms: int
    counts: Mapping[StepStatus, int]


Event = (
    RunBegan
    | RunWatched
    | EnvProgress
    | EnvEnded
    | StepBegan
    | StepProgress
    | StepPrinted
    | StepPaused
    | StepEnded
    | PlanGrew
    | CancelBegan
    | RunEnded
)


class Observer(Protocol):
    """Watches a run. Called from any thread, one call at a time; must be quick and never raises."""

    def on(self, event: Event) -> None:
        """Take one event."""
