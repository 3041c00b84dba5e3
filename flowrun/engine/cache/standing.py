"""Which finished run stands for a step whose turn has come, so that it need not run."""

from __future__ import annotations

from collections.abc import Mapping

from flowrun.engine.cache.reuse import Reuse
from flowrun.engine.cache.verdicts import Reused
from flowrun.plan.expressions import StepResult
from flowrun.plan.plan import FanIn, FanOut, PipelineEnd, PlannedStep


class Standing:
    """Remembers what runs anew: after that, what finished before a run was resumed is open again.

    Used by the thread that carries the plan out, and by it alone.
    """

    def __init__(self) -> None:
        self._anew: set[str] = set()
        """The steps that run, or that stand for others of which one does."""

    def of(
        self, step: PlannedStep, reuse: Reuse, results: Mapping[str, StepResult]
    ) -> Reused | None:
        """Give what stands for a step; None: it is carried out."""
        reused = reuse.reused(step.id)
        if reused is not None:
            return reused
        is_anew = not self._anew.isdisjoint(step.needs)
        if not is_anew:
            reused = reuse.finished_before(step, results)
        is_own = not isinstance(step.action, PipelineEnd | FanOut | FanIn)
        if reused is None and (is_anew or is_own):
            self._anew.add(step.id)
        return reused

    def did_not_run(self, step_id: str) -> None:
        """Take note that a step did not run after all: its `if` was false, or it was reused."""
        self._anew.discard(step_id)
