"""The results of all instances of a `foreach` as one."""

from __future__ import annotations

from collections.abc import Mapping

from flowrun.errors import PlanError
from flowrun.plan.expressions import StepResult
from flowrun.plan.plan import FanIn, PlannedStep


def collected(step: PlannedStep, action: FanIn, results: Mapping[str, StepResult]) -> StepResult:
    """Give the results of all instances as one.

    Raises:
        PlanError: one has failed, and may not.
    """
    instances = tuple(results[step_id] for step_id in action.instances)
    fine = {"succeeded", "skipped", "pending", *({"failed"} if step.continue_on_error else ())}
    wrong = next((each for each in instances if each.status not in fine), None)
    if wrong is not None and not action.is_sweep:
        raise PlanError(f"its step '{wrong.id}' {_ended(wrong)}")
    return StepResult(step.id, "succeeded", instances=instances)


def _ended(result: StepResult) -> str:
    return "was killed" if result.status == "killed" else str(result.status)
