"""The steps of a resumed run that had ended well before: they are not run again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import assert_never

from flowrun.engine.cache.earlier import FINGERPRINT_TAG
from flowrun.engine.cache.kept import VALUE_PREFIX, Kept, NotKeptError
from flowrun.engine.cache.verdicts import Reused
from flowrun.engine.events import Before
from flowrun.engine.record.live import PARENT_TAG
from flowrun.engine.release.registering import select_best
from flowrun.engine.release.words import promoted_text, registered_text, selected_text
from flowrun.plan.expressions import StepResult, evaluate
from flowrun.plan.plan import (
    CommandAction,
    FanIn,
    FanOut,
    PipelineEnd,
    PlannedStep,
    SelectAction,
)
from flowrun.spec.project import Promote, Register
from flowrun.tracking.entities import Run
from flowrun.valueclass import valueclass


@valueclass
class FinishedSteps:
    """What finished steps left, read back from their runs and looked at by digest."""

    runs: Mapping[str, Run]
    """By step id."""
    parent_id: str | None
    """The pipeline's run that is resumed."""
    kept: Kept
    visible_variables: Mapping[str, str]

    def of(
        self, step: PlannedStep, results: Mapping[str, StepResult], *, may_lack: bool = False
    ) -> Reused | None:
        """Give what stands for a step; None if it did not finish, or what it left is gone.

        Args:
            step: one whose needs have all ended.
            results: of the steps that have.
            may_lack: its temporary outputs may be gone.
        """
        run = self.runs.get(step.id)
        if run is None or isinstance(step.action, PipelineEnd | FanOut | FanIn):
            return None
        try:
            result = self._result(step, run, results, may_lack=may_lack)
        except NotKeptError:
            return None
        info, run_id = run.info, run.info.run_id
        before = None
        if self.parent_id is not None and run.tags.get(PARENT_TAG) == self.parent_id:
            before = Before(info.start_time_ms, info.end_time_ms or info.start_time_ms)
        fingerprint = run.tags.get(FINGERPRINT_TAG, f"run {run_id}")
        return Reused(result, run_id, fingerprint, before, _detail(step, run, results))

    def _result(
        self,
        step: PlannedStep,
        run: Run,
        results: Mapping[str, StepResult],
        *,
        may_lack: bool,
    ) -> StepResult:
        match step.action:
            case CommandAction():
                own = self.visible_variables
                given = {k: evaluate(v, step, results, env=own) for k, v in step.arguments.items()}
                return self.kept.result_of(step, run, given, may_lack=may_lack)
            case SelectAction() as action:
                return replace(select_best(action, results), id=step.id)
            case Register() as action:
                name, version = run.params.get("name"), run.tags.get(VALUE_PREFIX + "version")
                if name is None or version is None:
                    raise NotKeptError(f"run {run.info.run_id} does not say what it registered")
                uri = f"models:/{name}/{version}"
                return _engines(step, run, {"name": name, "version": version, "model": uri})
            case Promote():
                outputs = {key: run.params.get(key, "") for key in ("name", "version")}
                stage = run.tags.get(VALUE_PREFIX + "stage", "None")
                return _engines(step, run, {**outputs, "stage": stage})
            case PipelineEnd() | FanOut() | FanIn():
                raise AssertionError(f"step '{step.id}' has no run: it only stands for others")
            case _:
                assert_never(step.action)


def _detail(step: PlannedStep, run: Run, results: Mapping[str, StepResult]) -> str:
    """Say what an engine's step did; a command's result is its metrics."""
    name, version = run.params.get("name", ""), run.params.get("version", "")
    match step.action:
        case SelectAction() as action:
            return selected_text(select_best(action, results), action.metric)
        case Register():
            return registered_text(name, run.tags.get(VALUE_PREFIX + "version", ""))
        case Promote():
            return promoted_text(name, version, run.params.get("to"), run.params.get("alias"))
        case _:
            return ""


def _engines(step: PlannedStep, run: Run, outputs: Mapping[str, object]) -> StepResult:
    return StepResult(
        step.id, "succeeded", outputs=outputs, params=run.params, run_id=run.info.run_id
    )
