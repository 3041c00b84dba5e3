"""Carries out a sweep: asks for trials, lets the plan grow by them, and looks what comes of them.

The driver runs in the thread of the plan's FanOut. What happens reaches it through a queue; nothing
of it decides when a trial starts: that is the schedule's.
"""

from __future__ import annotations

import math
import queue
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from flowrun.engine.events import StepEnded, StepStatus
from flowrun.engine.record.outcome import SWEEP_TAG
from flowrun.engine.record.recorder import Recorder
from flowrun.engine.sweeps.samplers import Sampler, SweepSpec, Trial, TrialState
from flowrun.engine.sweeps.sweep_file import SWEEP_FILE, best_tags, sweep_text
from flowrun.errors import CancelledError, PlanError
from flowrun.plan.fan import Growth, grow
from flowrun.plan.plan import Item, PlannedStep
from flowrun.plan.sweep import Values, trial_name
from flowrun.spec.problems import did_you_mean, listed

LOOK_EVERY_S = 0.5
"""At the metrics of trials that are under way, if there is a pruner."""
_STATES = {
    StepStatus.SUCCEEDED: TrialState.FINISHED,
    StepStatus.FAILED: TrialState.FAILED,
    StepStatus.KILLED: TrialState.KILLED,
    StepStatus.SKIPPED: TrialState.KILLED,
    StepStatus.PENDING: TrialState.FINISHED,
}

Points = Callable[[str, str], Sequence[tuple[int, float]]]
"""A trial's id and a metric to its value at each step so far."""


@dataclass(slots=True)
class _Running:
    number: int
    values: Values
    pruned_at: int | None = None
    """The step at which it was worse than others, and was asked to end."""


@dataclass(slots=True)
class Sweep:
    """One sweep while it is carried out."""

    spec: SweepSpec
    sampler: Sampler
    before: Sequence[Trial] = ()
    """Of the sweep that is gone on with; those that were cancelled are not among them."""
    trials: list[Trial] = field(default_factory=list)
    """Those that are over, in the order in which they ended."""
    _inbox: queue.SimpleQueue[StepEnded | None] = field(default_factory=queue.SimpleQueue)
    _running: dict[str, _Running] = field(default_factory=dict)
    _names: set[str] = field(default_factory=set)
    _is_stopped: bool = False
    _is_given_up: bool = False
    _logged: set[str] = field(default_factory=set)

    def ended(self, event: StepEnded) -> None:
        """Take note of a step's end; from any thread."""
        self._inbox.put(event)

    def stop(self) -> None:
        """Begin no more trials; from any thread."""
        self._is_stopped = True
        self._inbox.put(None)

    def give_up(self) -> None:
        """End without waiting for anything; from any thread."""
        self._is_given_up = True
        self.stop()

    def carry_out(
        self,
        fan: PlannedStep,
        known: Callable[[], Mapping[str, PlannedStep]],
        add: Callable[[Growth], None],
        points: Points,
        prune: Callable[[str], None],
        recorder: Recorder,
    ) -> str:
        """Carry out trials until there are enough; give in words what came of them.

        Args:
            fan: the step that does so.
            known: gives all steps of the plan.
            add: takes what the plan grows by.
            points: gives what a trial has logged so far.
            prune: ends a trial.
            recorder: writes down what is known, each time a trial is over.

        Raises:
            CancelledError: the run was cancelled. PlanError: no trial came to anything.
            FlowrunError: values don't fit the entry point.
        """
        for trial in self.before:
            self.sampler.tell(trial)
            self._take(trial)
        recorder.note_pipeline({SWEEP_TAG: self.spec.sampler})
        self._keep(recorder)
        number = 0
        is_exhausted = False
        while True:
            while not is_exhausted and self._has_room():
                number = self._next_number(number)
                values = self.sampler.ask(number)
                if values is None:
                    is_exhausted = True
                else:
                    add(self._grown(fan, known(), number, values))
                    number += 1
            if not self._running:
                break
            if self._wait(points, prune):
                self._keep(recorder)
        if self._is_stopped:
            raise CancelledError("cancelled")
        told = self._told()
        recorder.note_pipeline(best_tags(self.best()))
        return told

    def best(self) -> Trial | None:
        """Give the best of the trials that are over, the first of several; None: there is none."""
        scored = [(t.value, t) for t in self.trials if t.state is TrialState.FINISHED]
        numbers = [(value, t) for value, t in scored if value is not None]
        if not numbers:
            return None
        pick = max if self.spec.is_max else min
        return pick(numbers, key=lambda each: each[0])[1]

    def _keep(self, recorder: Recorder) -> None:
        recorder.put_file(SWEEP_FILE, sweep_text(self.spec, self.trials))

    def _has_room(self) -> bool:
        if self._is_stopped or len(self._running) >= self.spec.parallel:
            return False
        count = len(self.trials) + len(self._running)
        return self.spec.trials is None or count < self.spec.trials

    def _next_number(self, number: int) -> int:
        """Give the next number that no trial has."""
        taken = {trial.number for trial in self.trials}
        while number in taken:
            number += 1
        return number

    def _grown(
        self, fan: PlannedStep, known: Mapping[str, PlannedStep], number: int, values: Values
    ) -> Growth:
        name = trial_name(values, number, self._names)
        self._names.add(name)
        growth = grow(fan, [Item(dict(values), name, is_id=True)], known)
        self._running[f"{fan.name}[{name}]"] = _Running(number, values)
        return growth

    def _wait(self, points: Points, prune: Callable[[str], None]) -> bool:
        """Wait, and tell whether a trial is over; look meanwhile whether one does badly."""
        has_pruner = self.spec.pruner is not None
        try:
            event = self._inbox.get(timeout=LOOK_EVERY_S if has_pruner else None)
        except queue.Empty:
            self._look(points, prune)
            return False
        running = self._running.pop(event.step_id, None) if event is not None else None
        if self._is_given_up:
            raise CancelledError("cancelled")
        if event is None or running is None:
            return False
        if has_pruner and self.spec.metric is not None:
            # All of it: others are compared with this one, however soon it was over.
            self.sampler.is_worse(running.number, points(event.step_id, self.spec.metric))
        trial = self._over(event, running)
        self.sampler.tell(trial)
        self._take(trial)
        return True

    def _look(self, points: Points, prune: Callable[[str], None]) -> None:
        assert self.spec.metric is not None  # noqa: S101 - checked with the pruner
        for step_id, running in self._running.items():
            if running.pruned_at is not None:
                continue
            found = points(step_id, self.spec.metric)
            if self.sampler.is_worse(running.number, found):
                running.pruned_at = found[-1][0]
                prune(step_id)

    def _over(self, event: StepEnded, running: _Running) -> Trial:
        state, metric = _STATES[event.status], self.spec.metric
        detail = event.detail
        if state is TrialState.KILLED and running.pruned_at is not None:
            state = TrialState.PRUNED
            detail = f"worse than others at step {running.pruned_at}"
        self._logged |= set(event.metrics)
        value = event.metrics.get(metric) if metric is not None else None
        return Trial(
            running.number,
            event.step_id,
            running.values,
            state,
            None if value is None or math.isnan(value) else value,
            event.run_id,
            detail,
        )

    def _take(self, trial: Trial) -> None:
        self.trials.append(trial)
        self._names.add(trial.step_id.partition("[")[2][:-1])

    def _told(self) -> str:
        counts = {s: sum(t.state is s for t in self.trials) for s in TrialState}
        parts = [f"{count} {state}" for state, count in counts.items() if count]
        total = f"{len(self.trials)} trials: {', '.join(parts)}"
        metric, best = self.spec.metric, self.best()
        if counts[TrialState.FINISHED] == 0:
            raise PlanError(f"no trial finished ({', '.join(parts) or 'there was none'})")
        if metric is None:
            return total
        if best is None:
            raise PlanError(f"no trial has a number for metric '{metric}'; {self._found(metric)}")
        return f"{total}; best {best.step_id} ({metric} {best.value:g})"

    def _found(self, metric: str) -> str:
        if self._logged:
            names = sorted(self._logged)
            return f"logged are {listed(names)}.{did_you_mean(metric, names)}"
        run_id = next((trial.run_id for trial in self.trials if trial.run_id), None)
        return f"see what was logged: flowrun runs show {run_id}"
