"""The attempts at the steps of one run, and the pauses between them."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import replace

from flowrun.engine.events import Attempt, StepEnded, StepPaused, StepStatus
from flowrun.plan.attempts import attempts_of, wait_s
from flowrun.plan.plan import PlannedStep


class Attempts:
    """Keeps what was tried; used by the thread that carries the plan out, and by it alone."""

    def __init__(
        self,
        earlier: Mapping[str, tuple[Attempt, ...]],
        clock: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        """Begin.

        Args:
            earlier: by step id, of a run that is resumed: the attempts that it had.
            clock: seconds; goes forward only.
            chance: 0 to 1, at random.
        """
        self._earlier = earlier
        self._clock = clock
        self._chance = chance
        self._failed: dict[str, list[Attempt]] = {}
        self._held: dict[str, StepEnded] = {}
        self._due: list[tuple[float, str]] = []

    def number(self, step_id: str, attempt: int) -> int:
        """Give the number by which the record knows an attempt of this run's."""
        earlier = self._earlier.get(step_id, ())
        return attempt + max((each.number for each in earlier), default=0)

    def pause(self, step: PlannedStep, attempt: int, ended: StepEnded) -> StepPaused:
        """Note a failed attempt, and let the step wait for the next one."""
        failed = _attempt(self.number(step.id, attempt), ended)
        self._failed.setdefault(step.id, []).append(failed)
        self._held[step.id] = ended
        left_s = wait_s(step, attempt, self._chance())
        heapq.heappush(self._due, (self._clock() + left_s, step.id))
        last = self.number(step.id, attempts_of(step))
        return StepPaused(step.id, failed, last, round(left_s * 1000))

    def give_up(self, step_id: str) -> StepEnded:
        """Give how a step ended that is not tried again: as its last attempt did."""
        ended, attempts = self._held.pop(step_id), self._before(step_id)
        return replace(ended, attempts=tuple(attempts)) if len(attempts) > 1 else ended

    def complete(self, ended: StepEnded) -> StepEnded:
        """Give how a step ended with all of its attempts, if there was more than one."""
        before = self._before(ended.step_id)
        if ended.before is not None:
            return replace(ended, attempts=tuple(before)) if len(before) > 1 else ended
        if not before or ended.status is StepStatus.SKIPPED or ended.reused_from is not None:
            return ended
        last = _attempt(before[-1].number + 1, ended)
        return replace(ended, attempts=(*before, last))

    def left_s(self) -> float | None:
        """Give the seconds until a pause ends, 0 or less if one has; None if no step pauses."""
        return self._due[0][0] - self._clock() if self._due else None

    def take(self) -> str:
        """Give the step whose pause ends first, and forget the pause."""
        return heapq.heappop(self._due)[1]

    def _before(self, step_id: str) -> list[Attempt]:
        return [*self._earlier.get(step_id, ()), *self._failed.get(step_id, ())]


def _attempt(number: int, ended: StepEnded) -> Attempt:
    detail = "" if ended.status in {StepStatus.SUCCEEDED, StepStatus.PENDING} else ended.detail
    return Attempt(number, ended.run_id, ended.duration_ms, detail)
