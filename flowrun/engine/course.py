"""What has become of the steps of one run so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from flowrun.engine.events import StepBegan, StepEnded, StepStatus
from flowrun.engine.steps.step import StepOutcome
from flowrun.engine.sweeps.trial_runs import is_trial
from flowrun.plan.evaluation import named_metrics
from flowrun.plan.expressions import StepResult
from flowrun.plan.fan import Growth
from flowrun.plan.plan import FanIn, PipelineEnd, PlannedStep
from flowrun.spec.project import Register


class Course:
    """Keeps what is known of each step.

    Written by the thread that carries the plan out, but for `run_began`, which the threads of steps
    call one after the other; read by any.
    """

    def __init__(self, steps: Iterable[PlannedStep], now: Callable[[], int]) -> None:
        """Begin with the plan's steps, of which none has begun; `now` gives epoch milliseconds."""
        self.steps = {step.id: step for step in steps}
        self.results: dict[str, StepResult] = {}
        """What later steps see of those that have ended."""
        self.ended: dict[str, StepEnded] = {}
        self.growths: list[Growth] = []
        """The steps that came while it ran."""
        self._now = now
        self._began_ms: dict[str, int] = {}
        self._run_ids: dict[str, str] = {}
        self._step_ids: dict[str, str] = {}
        """By run id, which is a command's job id as well."""

    def grow(self, growth: Growth) -> tuple[str, ...]:
        """Take in the steps that came; give the ids of those that are to be shown."""
        self.growths.append(growth)
        self.steps.update((step.id, step) for step in (*growth.steps, growth.end))
        return tuple(step.id for step in growth.steps if not is_end(step))

    def turn_came(self, step: PlannedStep) -> None:
        """Note that a step begins, for the first time or again."""
        if is_trial(step):  # its run began with its first step
            self._began_ms.setdefault(step.id, self._now())
        else:
            self._began_ms[step.id] = self._now()
            self._run_ids.pop(step.id, None)

    def run_began(self, event: StepBegan) -> None:
        """Note the run of a step."""
        self._began_ms.setdefault(event.step_id, self._now())
        self._run_ids[event.step_id] = event.run_id
        self._step_ids[event.run_id] = event.step_id

    def run_id_of(self, step_id: str) -> str | None:
        """Give the run of a step, if it has begun."""
        return self._run_ids.get(step_id)

    def step_id_of(self, run_id: str) -> str:
        """Give the step that a run is of; empty if it is none's."""
        return self._step_ids.get(run_id, "")

    def run_ids_in(self, trial_id: str) -> list[str]:
        """Give the runs of a trial and of the steps in it, as far as they have begun."""
        return [run_id for id_, run_id in list(self._run_ids.items()) if is_in(id_, trial_id)]

    def attempt_ended(self, step_id: str, outcome: StepOutcome) -> StepEnded:
        """Note what later steps see of a step, and give how its attempt ended."""
        result, before, step = outcome.result, outcome.before, self.steps[step_id]
        self.results[step_id] = result
        duration_ms = (
            before.end_time_ms - before.start_time_ms
            if before
            else self.since(self._began_ms[step_id])
        )
        return StepEnded(
            step_id,
            outcome.status,
            outcome.reused_from or self._run_ids.get(step_id),
            duration_ms,
            outcome.detail,
            result.metrics,
            named_metrics(result.params),
            is_tolerated=step.continue_on_error and outcome.status is StepStatus.FAILED,
            reused_from=None if before else outcome.reused_from,
            why=outcome.why,
            before=before,
        )

    def skipped(self, step_id: str, reason: str) -> StepEnded:
        """Note that a step is left out."""
        self.results[step_id] = StepResult(step_id, StepStatus.SKIPPED)
        return StepEnded(step_id, StepStatus.SKIPPED, detail=reason)

    def since(self, began_ms: int) -> int:
        """Give the milliseconds since then; none if the clock was set back meanwhile."""
        return max(self._now() - began_ms, 0)

    def counts(self) -> Counter[StepStatus]:
        """Give how many steps ended in which way."""
        return Counter(ended.status for ended in self.ended.values())

    def first_run_id(self) -> str:
        """Give the run of the first step that has one; empty if none has."""
        return next((ended.run_id for ended in self.ended.values() if ended.run_id), "")

    def error(self) -> str:
        """Give in words which steps failed, but for those that may."""
        failed = [each for each in self.ended.values() if each.status is StepStatus.FAILED]
        return "; ".join(f"step '{e.step_id}': {e.detail}" for e in failed if not e.is_tolerated)

    def versions(self) -> tuple[str, ...]:
        """Give the model versions that were registered, as `name/version`."""
        registered = [
            self.results[step.id].outputs
            for step in self.steps.values()
            if isinstance(step.action, Register) and step.id in self.results
        ]
        return tuple(
            f"{o['name']}/{o['version']}" for o in registered if str(o.get("version")).isdigit()
        )

    def pending(self) -> tuple[str, ...]:
        """Give what waits for an approval, in words."""
        ended = self.ended.values()
        return tuple(each.detail for each in ended if each.status is StepStatus.PENDING)


def is_end(step: PlannedStep) -> bool:
    """Tell whether a step only stands for the end of others, and is nothing to look at itself."""
    return isinstance(step.action, PipelineEnd | FanIn) and not is_trial(step)


def is_in(step_id: str, trial_id: str) -> bool:
    """Tell whether a step is a trial, or in it."""
    return step_id == trial_id or step_id.startswith(f"{trial_id}/")
