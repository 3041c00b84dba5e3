"""What will become of a plan's steps, as far as that is known before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import field
from typing import assert_never

from flowrun.engine.cache.digest import Digest
from flowrun.engine.cache.earlier import pipeline_name
from flowrun.engine.cache.identity import code_of, find_local
from flowrun.engine.cache.memo import DigestMemo
from flowrun.engine.cache.reuse import Reuse, open_reuse
from flowrun.engine.cache.temporary import gone_outputs, needed_again
from flowrun.engine.cache.verdicts import UNMET, Foreseen, Verdict
from flowrun.engine.code import Codes
from flowrun.engine.environments import Environments
from flowrun.engine.masking import Masker
from flowrun.engine.release.registering import select_best
from flowrun.engine.request import RunRequest
from flowrun.engine.services import Services
from flowrun.engine.steps.collecting import collected
from flowrun.engine.steps.fetch import Fetcher
from flowrun.engine.steps.items import ItemFinder
from flowrun.errors import FlowrunError
from flowrun.plan.expressions import StepResult, condition_holds, evaluate
from flowrun.plan.fan import grow
from flowrun.plan.plan import CommandAction, FanIn, FanOut, PipelineEnd, PlannedStep, SelectAction
from flowrun.spec.project import Promote, Register, Value
from flowrun.valueclass import valueclass


def foresee(request: RunRequest, services: Services) -> Mapping[str, Foreseen]:
    """Give for each step whether it would run or be reused, and why, by its id.

    Nothing is executed, nothing is recorded.

    Args:
        request: of its options those count that decide about reuse.
        services: their executor is not asked for.

    Raises:
        PlanError: `sources` that mean no file. FlowrunError: the store can't be read.
    """
    Codes(services.sources, request.projects).check(request.plan.looks)
    variables = services.variables
    secrets = {name for step in request.plan.looks for name in step.secrets}
    mask = Masker.of(variables[name] for name in secrets if name in variables)
    visible = {name: value for name, value in variables.items() if name not in secrets}
    environments = Environments(services, request, lambda _: None, lambda: False)
    with closing(DigestMemo(services.home.digests)) as memo:
        reuse = open_reuse(services, request, environments, mask, memo, visible)
        return foresee_steps(reuse, ItemFinder(Fetcher(services, lambda _: None), memo))


def foresee_steps(reuse: Reuse, finder: ItemFinder | None = None) -> Mapping[str, Foreseen]:
    """Decide for all steps of a run, in plan order; `reuse` remembers it.

    Args:
        reuse: of the run.
        finder: looks already now what the items of a `foreach` are, where that can be known.

    Raises:
        FlowrunError: the store can't be read.
    """
    plan = reuse.request.plan
    if any(reuse.refusal(step) is None for step in plan.looks):
        commands = {step.id for step in plan.looks if isinstance(step.action, CommandAction)}
        reuse.earlier.fetch(pipeline_name(reuse.request), commands)
    while True:
        foresight = _Foresight(reuse, {}, may_lack=True, finder=finder)
        for step in plan.steps:
            reuse.foreseen[step.id] = foresight.of(step)
        needed = needed_again(plan.steps, reuse.foreseen, foresight.reads)
        if not needed:
            return reuse.foreseen
        # Once more: what comes after them is not known until they have run.
        reuse.needed_again.update(needed)
        reuse.foreseen.clear()


def foresee_added(
    reuse: Reuse, steps: Sequence[PlannedStep], results: Mapping[str, StepResult]
) -> None:
    """Decide for steps that the plan has grown by, in plan order; `reuse` remembers it.

    Args:
        reuse: of the run.
        steps: those that came.
        results: of all steps that have ended.
    """
    foresight = _Foresight(reuse, dict(results))
    for step in steps:
        reuse.foreseen[step.id] = foresight.of(step)


def foreseen_text(foreseen: Foreseen) -> str:
    """Say it in a few words: `run: parameter lr: 0.1 -> 0.2`."""
    match foreseen.verdict:
        case Verdict.REUSE:
            return f"reuse {foreseen.why}"
        case Verdict.RUN:
            return f"run: {foreseen.why}"
        case Verdict.UNKNOWN:
            colon = "" if foreseen.why.startswith("until ") else ":"
            return f"unknown{colon} {foreseen.why}"


class _NotYetError(Exception):
    """Something that decides a step is not known yet; the message says what."""


@valueclass
class _Foresight:
    """Decides one step after the other."""

    reuse: Reuse
    results: dict[str, StepResult]
    """Of the steps whose results are known."""
    may_lack: bool = False
    """A run whose temporary outputs are gone may stand for a step."""
    reads: dict[str, str] = field(default_factory=dict)
    """What steps that will run are given, as text, by their ids; of those of which it is known."""
    finder: ItemFinder | None = None
    grown: dict[str, PlannedStep] = field(default_factory=dict)
    ends: dict[str, FanIn] = field(default_factory=dict)
    """Of a `foreach` whose instances are known, by id."""

    def of(self, step: PlannedStep) -> Foreseen:
        """Decide a step when those that it needs are decided."""
        unsure = next((need for need in step.needs if need not in self.results), None)
        if unsure is not None:
            return Foreseen(Verdict.UNKNOWN, f"until {self._first_to_run(unsure)} has run")
        try:
            before = self.reuse.finished_before(step, self.results, may_lack=self.may_lack)
            if before is not None:
                self.results[step.id] = before.result
                return Foreseen(
                    Verdict.REUSE, f"run {before.run_id}, before it was resumed", before
                )
            return self._decide(step)
        except _NotYetError as error:
            return Foreseen(Verdict.UNKNOWN, str(error))
        except (FlowrunError, OSError) as error:
            return Foreseen(Verdict.UNKNOWN, f"until its turn: {error}")

    def _decide(self, step: PlannedStep) -> Foreseen:
        match step.action:
            case CommandAction():
                return self._decide_command(step)
            case SelectAction() as selecting:
                self.results[step.id] = select_best(selecting, self.results)
                return Foreseen(Verdict.RUN, "a select always runs")
            case PipelineEnd() as end:
                if not self._holds(step):
                    return Foreseen(Verdict.UNKNOWN, UNMET)
                values = {name: self._value(step, value) for name, value in end.results.items()}
                self.results[step.id] = StepResult(step.id, "succeeded", outputs=values)
                return Foreseen(Verdict.REUSE, "all its steps are")
            case FanOut():
                return self._decide_items(step, step.action)
            case FanIn():
                instances = self.ends.get(step.id)
                if instances is None:
                    return Foreseen(Verdict.UNKNOWN, "until its items are known")
                self.results[step.id] = collected(step, instances, self.results)
                return Foreseen(Verdict.REUSE, "all its instances")
            case Register():
                return Foreseen(Verdict.RUN, "a register always runs")
            case Promote():
                return Foreseen(Verdict.RUN, "a promote always runs")
            case _:
                assert_never(step.action)

    def _decide_items(self, step: PlannedStep, action: FanOut) -> Foreseen:
        if self.finder is None or action.items is None:
            return Foreseen(Verdict.UNKNOWN, "decided in its turn")
        if not self._holds(step):
            return Foreseen(Verdict.UNKNOWN, UNMET)
        items = self.finder.find(self._value(step, action.items))
        known = {each.id: each for each in self.reuse.request.plan.steps} | self.grown
        growth = grow(step, items, known)
        self.grown.update((each.id, each) for each in growth.steps)
        self.results[step.id] = StepResult(step.id, "succeeded")
        whys = {each.id: self.of(each) for each in growth.steps}
        assert isinstance(growth.end.action, FanIn)  # noqa: S101 - as it was made
        open_ids = [id_ for id_ in growth.end.action.instances if id_ not in self.results]
        if not open_ids:
            self.ends[growth.end.id] = growth.end.action
            return Foreseen(Verdict.REUSE, f"all of {len(items):,} items")
        told = f"{len(open_ids):,} of {len(items):,} items; {open_ids[0]}: {whys[open_ids[0]].why}"
        return Foreseen(Verdict.RUN, told)

    def _decide_command(self, step: PlannedStep) -> Foreseen:
        reuse = self.reuse
        refusal = reuse.refusal(step)
        if refusal is not None:
            return Foreseen(Verdict.RUN, refusal)
        if not self._holds(step):
            return Foreseen(Verdict.UNKNOWN, UNMET)
        env = reuse.environments.known(step)
        if env is None:
            raise _NotYetError("until its environment is resolved")
        given = {name: self._value(step, value) for name, value in step.arguments.items()}
        given = reuse.settled(step, given)
        variables = {name: self._value(step, value) for name, value in step.variables.items()}
        identity = reuse.identify(
            step, given, variables, env, lambda name, uri: self._digest_local(step, name, uri)
        )
        experiment_id = reuse.experiment_of(step)
        runs = reuse.earlier.fetched(identity.fingerprint, experiment_id)
        if not runs:
            runs = reuse.earlier.find(identity.fingerprint, experiment_id)
        reused, why = reuse.first_kept(step, runs, given, identity, may_lack=self.may_lack)
        if reused is None:
            self.reads[step.id] = "\n".join(map(str, (*given.values(), *variables.values())))
            return Foreseen(Verdict.RUN, why or reuse.why(step, identity, self.results))
        self.results[step.id] = reused.result
        gone = ", and nothing needs its temporary output, which is gone"
        note = gone if gone_outputs(reused.result) else ""
        return Foreseen(Verdict.REUSE, f"run {reused.run_id}{note}", reused)

    def _digest_local(self, step: PlannedStep, name: str, uri: str) -> Digest:
        path = find_local(uri, code_of(self.reuse.request, step).directory, self.reuse.cwd)
        if path is None:
            raise _NotYetError(f"until its input {name} is fetched")
        return self.reuse.memo.digest_of(path)

    def _holds(self, step: PlannedStep) -> bool:
        return condition_holds(step, self.results, env=self.reuse.visible_variables)

    def _value(self, step: PlannedStep, value: Value) -> object:
        return evaluate(value, step, self.results, env=self.reuse.visible_variables)

    def _first_to_run(self, step_id: str) -> str:
        """Give the first step on whose run another depends."""
        foreseen = self.reuse.foreseen[step_id]
        prefix, suffix = "until ", " has run"
        if foreseen.verdict is Verdict.UNKNOWN and foreseen.why.endswith(suffix):
            return foreseen.why.removeprefix(prefix).removesuffix(suffix)
        return step_id
