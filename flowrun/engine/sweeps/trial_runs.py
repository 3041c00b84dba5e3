"""The runs of trials that are pipelines: each is a child of the sweep, over its steps' runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from flowrun.engine.events import Event, StepBegan
from flowrun.engine.record.live import PARENT_TAG
from flowrun.engine.record.recorder import Recorder, StepRecord
from flowrun.plan.plan import PipelineEnd, PlannedStep
from flowrun.tracking.entities import RunStatus


class TrialRuns:
    """Those of one sweep. Called from any thread."""

    def __init__(
        self,
        recorder: Recorder,
        known: Callable[[], Mapping[str, PlannedStep]],
        tell: Callable[[Event], None],
    ) -> None:
        """Begin without any; they are made when their first step begins.

        Args:
            recorder: makes them.
            known: gives all steps of the plan.
            tell: told that one has begun.
        """
        self._recorder = recorder
        self._known = known
        self._tell = tell
        self._lock = threading.Lock()
        self._open: dict[str, StepRecord] = {}

    def over(self, step: PlannedStep) -> Mapping[str, str]:
        """Give the tag that puts a step's run below that of the trial it is in, if it is in one."""
        trial = self._trial_of(step)
        return {} if trial is None else {PARENT_TAG: self._record(trial).run_id}

    def take(self, trial: PlannedStep) -> StepRecord:
        """Give the run of a trial whose steps have ended, for the caller to end."""
        record = self._record(trial)
        with self._lock:
            del self._open[trial.id]
        return record

    def close(self) -> None:
        """End those that were cancelled."""
        with self._lock:
            left, self._open = self._open, {}
        for record in left.values():
            self._recorder.end(record, RunStatus.KILLED, "cancelled")

    def _record(self, trial: PlannedStep) -> StepRecord:
        with self._lock:
            record = self._open.get(trial.id)
            if record is not None:
                return record
            params = {name: value.raw for name, value in trial.scope.params.items()}
            record = self._open[trial.id] = self._recorder.begin_step(trial, params, "trial", 1)
        self._tell(StepBegan(trial.id, record.run_id))
        return record

    def _trial_of(self, step: PlannedStep) -> PlannedStep | None:
        known = self._known()
        top = step
        while top.caller:
            top = known[top.caller]
        return top if is_trial(top) and top is not step else None


def is_trial(step: PlannedStep) -> bool:
    """Tell whether a step is the end of a trial that is a pipeline."""
    return isinstance(step.action, PipelineEnd) and step.action.is_trial
