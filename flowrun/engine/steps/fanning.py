"""Carries out the beginning and the end of a step that becomes many while the plan runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from flowrun.engine.cache.foresight import foresee_added
from flowrun.engine.cache.reuse import Reuse
from flowrun.engine.steps.items import ItemFinder
from flowrun.plan.expressions import StepResult
from flowrun.plan.fan import Growth, grow
from flowrun.plan.plan import PlannedStep
from flowrun.valueclass import valueclass


@valueclass
class Fans:
    """What the steps of one run grow by; called from their threads."""

    finder: ItemFinder
    reuse: Reuse
    known: Callable[[], Mapping[str, PlannedStep]]
    """Gives all steps that there are now, by id."""
    add: Callable[[Growth], None]
    """Takes what the plan grows by."""
    sweep: Callable[[PlannedStep], str]
    """Carries out the trials of a sweep, and says in words what came of them."""

    def trials(self, step: PlannedStep) -> tuple[StepResult, str]:
        """Let the plan grow by one trial after the other, until there are enough.

        Raises:
            FlowrunError: no trial came to anything, or the run was cancelled.
        """
        return StepResult(step.id, "succeeded"), self.sweep(step)

    def begin(
        self, step: PlannedStep, found: object, results: Mapping[str, StepResult]
    ) -> tuple[StepResult, str]:
        """Let the plan grow by what a `foreach` came to.

        Args:
            step: its action is a FanOut.
            found: the value of its `foreach`.
            results: of all steps that have ended.

        Raises:
            FlowrunError, OSError: it is no list, or an item does not fit.
        """
        items = self.finder.find(found)
        growth = grow(step, items, self.known())
        foresee_added(self.reuse, growth.steps, results)
        self.add(growth)
        count = len(items)
        told = "1 item" if count == 1 else f"{count:,} items"
        return StepResult(step.id, "succeeded"), told
