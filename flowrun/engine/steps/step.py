"""Carries out one step from its condition to the end of its run, whatever kind of step it is."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from flowrun.engine.cache.verdicts import Reused
from flowrun.engine.events import Before, Event, StepBegan, StepProgress, StepStatus
from flowrun.engine.failure import CommandEnded
from flowrun.engine.masking import Masker
from flowrun.engine.record.recorder import Recorder, StepRecord
from flowrun.engine.release.lineage import lineage_tags
from flowrun.engine.release.registering import check_threshold, select_best
from flowrun.engine.release.words import selected_text
from flowrun.engine.request import Rehearsal, Releasing
from flowrun.engine.services import Services
from flowrun.engine.steps.collecting import collected
from flowrun.engine.steps.command import CommandRunner
from flowrun.engine.steps.fanning import Fans
from flowrun.engine.values import as_text
from flowrun.envs.exclusive import exclusive
from flowrun.errors import CancelledError, EnvError, FlowrunError, StoreError, UnreachableError
from flowrun.plan.expressions import StepResult, condition_holds, conditions_text, evaluate
from flowrun.plan.plan import (
    CommandAction,
    FanIn,
    FanOut,
    PipelineEnd,
    PlannedStep,
    SelectAction,
)
from flowrun.sources.copies import remove
from flowrun.spec.project import LOST, Promote, Register, Value
from flowrun.tracking.entities import RunStatus
from flowrun.valueclass import valueclass

if TYPE_CHECKING:
    from flowrun.engine.release.champions import Champion

RELEASE_STEPS = "flowrun.engine.release.steps"
"""By name: most pipelines write nothing to the registry."""
RUN_STATUS = {
    StepStatus.SUCCEEDED: RunStatus.FINISHED,
    StepStatus.FAILED: RunStatus.FAILED,
    StepStatus.KILLED: RunStatus.KILLED,
    StepStatus.PENDING: RunStatus.FINISHED,
    StepStatus.SKIPPED: RunStatus.FINISHED,  # it began, and found that it had nothing to do
}
_GOOD = frozenset({StepStatus.SUCCEEDED, StepStatus.PENDING, StepStatus.SKIPPED})


@valueclass
class StepOutcome:
    """What came of a step."""

    result: StepResult
    detail: str = ""
    is_surroundings: bool = False
    """It failed for its surroundings (environment, store, disk), not for what it does."""
    reused_from: str | None = None
    """The id of the finished run that stands for it."""
    before: Before | None = None
    """That run is one of the same pipeline, before it was resumed."""
    why: str = ""
    """Why it ran."""
    causes: frozenset[str] = frozenset()
    """What it failed for, in the words of `retry_on`; none: another attempt changes nothing."""

    @property
    def status(self) -> StepStatus:
        """How it ended."""
        return StepStatus(self.result.status)


def reused_outcome(reused: Reused) -> StepOutcome:
    """Give the outcome of a step that need not run."""
    return StepOutcome(
        reused.result, reused.detail, reused_from=reused.run_id, before=reused.before
    )


@valueclass
class StepRunner:
    """Carries out steps; `run` is called from each step's thread."""

    services: Services
    recorder: Recorder
    commands: CommandRunner
    tell: Callable[[Event], None]
    mask: Masker
    fans: Fans
    take_trial: Callable[[PlannedStep], StepRecord]
    """Gives the run of a trial that is a pipeline."""
    visible_variables: Mapping[str, str]
    """What `env.NAME` means in expressions: the caller's variables but for secrets."""
    rehearsal: Rehearsal | None = None
    releasing: Releasing = Releasing()

    def run(
        self, step: PlannedStep, results: Mapping[str, StepResult], work: Path, attempt: int
    ) -> StepOutcome:
        """Carry a step out; its run is final when this returns.

        Args:
            step: all it needs has ended.
            results: of all steps that have ended.
            work: its own folder.
            attempt: the number that the record gives to it; the first is 1.

        A broken promise of flowrun's own propagates; everything that can go wrong with a step, its
        surroundings or its record is an outcome.
        """
        turn = _Turn(self, step, results, work, attempt)
        try:
            return turn.take()
        except CancelledError as error:
            return turn.end_early(StepStatus.KILLED, str(error))
        except FlowrunError as error:
            causes = frozenset({LOST}) if isinstance(error, UnreachableError) else frozenset[str]()
            return turn.end_early(
                StepStatus.FAILED,
                error.message,
                is_surroundings=isinstance(error, SURROUNDINGS),
                causes=causes,
            )
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            why = f"{where}{error.strerror or error}"
            return turn.end_early(StepStatus.FAILED, why, is_surroundings=True)


REHEARSED = "rehearsed: the model registry was left alone"
SURROUNDINGS = (EnvError, StoreError, UnreachableError)


@dataclass(slots=True)
class _Turn:
    """One step's turn: what is known of it so far, for the case that something goes wrong."""

    runner: StepRunner
    step: PlannedStep
    results: Mapping[str, StepResult]
    work: Path
    attempt: int
    record: StepRecord | None = None
    params: dict[str, object] = field(default_factory=dict)
    champion: Champion | None = None
    """As the conditions have seen it."""

    def take(self) -> StepOutcome:
        step = self.step
        rehearsal = self.runner.rehearsal
        if rehearsal is not None and isinstance(step.action, Register | Promote):
            return self._rehearse(step.action, rehearsal)
        if isinstance(step.action, PipelineEnd) and step.action.is_trial:
            self.record = self.runner.take_trial(step)
        if isinstance(step.action, Promote):
            module = importlib.import_module(RELEASE_STEPS)
            earlier: CommandEnded | None = module.asked_already(self, step.action)
            if earlier is not None:
                return self._end(earlier)
        if not self._holds():
            return StepOutcome(StepResult(step.id, StepStatus.SKIPPED), self._unmet())
        self.params = {name: self._evaluate(value) for name, value in step.arguments.items()}
        self.params = self.runner.commands.reuse.settled(step, self.params)
        with self._alone():
            return self._act()

    def _act(self) -> StepOutcome:
        step = self.step
        match step.action:
            case CommandAction():
                return self._command()
            case SelectAction() as action:
                return self._select(action)
            case Register() | Promote() as action:
                ended: CommandEnded = importlib.import_module(RELEASE_STEPS).release(self, action)
                return self._end(ended)
            case PipelineEnd() as action:
                return self._pipeline(action)
            case FanOut(items=items):
                fans = self.runner.fans
                if items is None:
                    return StepOutcome(*fans.trials(step))
                return StepOutcome(*fans.begin(step, self._evaluate(items), self.results))
            case FanIn() as action:
                return StepOutcome(collected(step, action, self.results))
            case _:
                assert_never(step.action)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep every other step of the same `concurrency` from running, in any flowrun."""
        step, runner = self.step, self.runner
        if step.concurrency is None:
            yield
            return
        name = hashlib.sha256(step.concurrency.encode()).hexdigest()[:32]
        text = f"waiting for another step of concurrency '{step.concurrency}'"
        with exclusive(
            runner.services.home.steps / f"concurrency-{name}",
            lambda: runner.tell(StepProgress(step.id, text)),
            lambda: runner.commands.is_stopped(step.id),
            f"ran another step of concurrency '{step.concurrency}'",
        ):
            yield

    def end_early(
        self,
        status: StepStatus,
        why: str,
        *,
        is_surroundings: bool = False,
        causes: frozenset[str] = frozenset(),
    ) -> StepOutcome:
        """Close the step's run, if it has one."""
        return self._end(CommandEnded(status, why, is_surroundings=is_surroundings, causes=causes))

    def _command(self) -> StepOutcome:
        step, params, commands = self.step, self.params, self.runner.commands
        variables = {name: self._evaluate(value) for name, value in step.variables.items()}
        inputs = commands.inputs(step, self.work)
        with ExitStack() as held:
            held.callback(remove, self.work)
            try:
                turn = held.enter_context(
                    commands.decided(step, params, variables, self.results, inputs)
                )
            except (FlowrunError, OSError):
                commands.begin(step, params, self._began, self.attempt)  # to tell what went wrong
                raise
            if turn.reused is not None:
                return reused_outcome(turn.reused)
            doing = commands.reuse.told(turn)
            record = commands.begin(step, params, self._began, self.attempt, doing)
            ended = commands.run(step, params, variables, inputs, turn, self.work, record)
            # Whoever waits for the same step finds it FINISHED.
            outcome = self._end(ended)
            commands.reuse.ended(step.id, ended.identity, record.run_id)
            return replace(outcome, why=turn.why)

    def _pipeline(self, action: PipelineEnd) -> StepOutcome:
        values = {name: self._evaluate(value) for name, value in action.results.items()}
        if self.record is None:
            return StepOutcome(StepResult(self.step.id, StepStatus.SUCCEEDED, outputs=values))
        metrics = {
            name: value
            for step_id in self.step.needs
            for name, value in self.results[step_id].metrics.items()
        }
        self.runner.recorder.note_metrics(self.record, metrics)
        return self._end(CommandEnded(StepStatus.SUCCEEDED, outputs=values))

    def _select(self, action: SelectAction) -> StepOutcome:
        best = select_best(action, self.results)
        self.params = {"metric": action.metric, "mode": action.mode, "run_id": best.run_id}
        self._begin("select")
        detail = selected_text(best, action.metric)
        if action.threshold is not None:
            check_threshold(action, best, self._evaluate(action.threshold))
        return self._end(CommandEnded(StepStatus.SUCCEEDED, detail, best.outputs), best)

    def _rehearse(self, action: Register | Promote, rehearsal: Rehearsal) -> StepOutcome:
        """End as the step did then, and leave the registry as it is.

        What others make of a registered model they make of the model itself.
        """
        status = rehearsal.statuses.get(self.step.id, StepStatus.SUCCEEDED)
        if status != StepStatus.SUCCEEDED:
            return StepOutcome(StepResult(self.step.id, StepStatus.SKIPPED), "as it was then")
        self.params = {"name": self._text(action.name)}
        outputs: dict[str, object] = {"name": self._text(action.name)}
        match action:
            case Register():
                outputs["version"] = rehearsal.versions.get(self.step.id, "0")
                outputs["model"] = self._evaluate(action.model)
                self._begin("register")
            case Promote():
                outputs["version"] = self._text(action.version)
                outputs["stage"] = self._text(action.stage) if action.stage else "None"
                self._begin("promote")
            case _:
                assert_never(action)
        return self._end(CommandEnded(StepStatus.SUCCEEDED, REHEARSED, outputs))

    @property
    def services(self) -> Services:
        return self.runner.services

    @property
    def directory(self) -> Path:
        return self.runner.commands.request.projects[self.step.project].directory

    @property
    def releasing(self) -> Releasing:
        return self.runner.releasing

    def begin(self, kind: str, params: Mapping[str, object]) -> StepRecord:
        self.params = {name: as_text(value) for name, value in params.items()}
        return self._begin(kind)

    def pipeline_run_id(self, record: StepRecord | None) -> str:
        return self.runner.recorder.parent_run_id or (record.run_id if record else "")

    def lineage(self, run_id: str) -> Mapping[str, str]:
        parent = self.runner.recorder.parent_run_id
        tracking = self.services.tracking
        return lineage_tags(tracking, tracking.get_run(run_id), parent)

    def seen_champion(self) -> Champion | None:
        return self.champion

    def holds_again(self) -> bool:
        self.champion = None
        return self._holds()

    def conditions(self) -> str:
        return conditions_text(self.step, self.results, env=self._env(), champion=self._champion)

    @property
    def visible(self) -> Mapping[str, str]:
        return self._env()

    def is_stopped(self) -> bool:
        return self.runner.commands.is_stopped(self.step.id)

    def tell(self, text: str) -> None:
        self.runner.tell(StepProgress(self.step.id, text))

    def evaluate(self, value: Value) -> object:
        return self._evaluate(value)

    def _begin(self, kind: str) -> StepRecord:
        record = self.runner.recorder.begin_step(self.step, self.params, kind, self.attempt)
        self._began(record)
        return record

    def _began(self, record: StepRecord) -> None:
        self.record = record
        self.runner.tell(StepBegan(self.step.id, record.run_id, attempt=self.attempt))

    def _end(self, ended: CommandEnded, stand_in: StepResult | None = None) -> StepOutcome:
        """Make the step's run final; `stand_in`: its metrics, parameters and run speak for it."""
        ended = replace(ended, detail=self.runner.mask(ended.detail))
        if self.record is None:
            result = StepResult(self.step.id, ended.status)
            return StepOutcome(result, ended.detail, ended.is_surroundings, causes=ended.causes)
        error = "" if ended.status in _GOOD else ended.detail
        try:
            run = self.runner.recorder.end(self.record, RUN_STATUS[ended.status], error)
        except FlowrunError as failure:
            # The record can't be finished (or somebody has deleted the run meanwhile): whatever the
            # command did, the step has failed. The next flowrun closes the run.
            result = StepResult(self.step.id, StepStatus.FAILED, run_id=self.record.run_id)
            is_known = failure.message in ended.detail
            detail = ended.detail if is_known else f"{ended.detail} {failure.message}".strip()
            return StepOutcome(result, detail, is_surroundings=True)
        metrics = {key: metric.value for key, metric in run.metrics.items()}
        result = StepResult(
            self.step.id,
            ended.status,
            outputs=ended.outputs or {},
            metrics=stand_in.metrics if stand_in else metrics,
            params=stand_in.params if stand_in else self.params,
            run_id=stand_in.run_id if stand_in else run.info.run_id,
        )
        return StepOutcome(result, ended.detail, ended.is_surroundings, causes=ended.causes)

    def _evaluate(self, value: Value) -> object:
        return evaluate(value, self.step, self.results, env=self._env(), champion=self._champion)

    def _text(self, value: Value) -> str:
        return as_text(self._evaluate(value))

    def _env(self) -> Mapping[str, str]:
        return self.runner.visible_variables

    def _holds(self) -> bool:
        return condition_holds(self.step, self.results, env=self._env(), champion=self._champion)

    def _champion(self) -> Mapping[str, object] | None:
        """Give the champion; the same one until the conditions are looked at again."""
        action = self.step.action
        assert isinstance(action, Promote)  # noqa: S101 - the plan allows it nowhere else
        if self.champion is None:
            found: Champion = importlib.import_module(RELEASE_STEPS).champion_of(self, action)
            self.champion = found
        return self.champion.names

    def _unmet(self) -> str:
        return f"its condition is not met: {self.conditions()}"
