"""Decides which steps need not run, because a finished run did the same.

What can be known before anything runs is decided first, for all steps together (`foresee`): an
unchanged pipeline of thousands of steps then costs a few calls of the store. The others are decided
one by one when their turn comes (`turn`), their environment is there and what they read is known.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import assert_never

from flowrun.engine.code import Codes
from flowrun.engine.digest import Digest
from flowrun.engine.earlier import EarlierRuns, pipeline_name
from flowrun.engine.environments import Environments
from flowrun.engine.finished import FinishedSteps, Reused
from flowrun.engine.identity import Identifier, Identity, code_of, find_local
from flowrun.engine.kept import Kept, NotKeptError
from flowrun.engine.masking import Masker
from flowrun.engine.memo import DigestMemo
from flowrun.engine.reasons import Reasons
from flowrun.engine.registry_steps import select_best
from flowrun.engine.request import RunRequest
from flowrun.engine.services import Services
from flowrun.engine.values import OutputValue
from flowrun.envs.base import EnvLock
from flowrun.envs.exclusive import exclusive
from flowrun.errors import FlowrunError, StoreError, UnreachableError
from flowrun.plan.expressions import StepResult, condition_holds, evaluate
from flowrun.plan.plan import CommandAction, FanIn, FanOut, PipelineEnd, PlannedStep, SelectAction
from flowrun.spec.project import Promote, Register
from flowrun.tracking.artifacts import Artifacts
from flowrun.tracking.entities import Run

DigestInput = Callable[[str, str], Digest]
CACHE_OFF = "the cache is off"
"""By --no-cache, or because a recorded run is run again."""
ALONE = "a command by itself always runs"
NO_CACHE = "cache: false"
IN_PLACE = "it runs in the project's own directory (--in-place)"
RERUN = "asked for (--rerun, --from)"


class Verdict(StrEnum):
    """What will become of a step, as far as that is known."""

    REUSE = "reuse"
    RUN = "run"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What will become of one step, and why."""

    verdict: Verdict
    why: str
    reused: Reused | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """What was decided when a step's turn came."""

    reused: Reused | None = None
    identity: Identity | None = None
    """Of a step that runs; None if it can't be known yet."""
    why: str = ""
    """Why it runs."""


class _NotYetError(Exception):
    """Something that decides a step is not known yet; the message says what."""


@dataclass(slots=True)
class Reuse:
    """Decides for the steps of one run. `turn` is called from each step's thread."""

    request: RunRequest
    identifier: Identifier
    environments: Environments
    memo: DigestMemo
    earlier: EarlierRuns
    kept: Kept
    reasons: Reasons
    visible_variables: Mapping[str, str]
    cwd: Path
    now: Callable[[], int]
    locks: Path
    """Where those are that say who runs what."""
    store_uri: str
    finished: FinishedSteps
    foreseen: dict[str, Foreseen] = field(default_factory=dict)
    fingerprints: dict[str, str] = field(default_factory=dict)
    """By step id, of those that ended."""

    def foresee(self) -> Mapping[str, Foreseen]:
        """Decide all that can be known before anything runs, in plan order."""
        steps = self.request.plan.steps
        if self._may_reuse_any():
            commands = {
                step.id
                for step in self.request.plan.looks
                if isinstance(step.action, CommandAction)
            }
            self.earlier.fetch(pipeline_name(self.request), commands)
        results: dict[str, StepResult] = {}
        for step in steps:
            foreseen, result = self._foresee(step, results)
            self.foreseen[step.id] = foreseen
            if result is not None:
                results[step.id] = result
        return self.foreseen

    def foresee_added(
        self, steps: Sequence[PlannedStep], results: Mapping[str, StepResult]
    ) -> None:
        """Decide what can be decided of steps that the plan has grown by, in plan order.

        Args:
            steps: those that came.
            results: of all steps that have ended.
        """
        known = dict(results)
        for step in steps:
            with suppress(FlowrunError):  # then the store is asked again in its turn
                foreseen, result = self._foresee(step, known)
                self.foreseen[step.id] = foreseen
                if result is not None:
                    known[step.id] = result

    def reused(self, step_id: str) -> Reused | None:
        """Give the run that stands for a step, if that was foreseen."""
        foreseen = self.foreseen.get(step_id)
        return foreseen.reused if foreseen else None

    def finished_before(
        self, step: PlannedStep, results: Mapping[str, StepResult]
    ) -> Reused | None:
        """Give what stands for a step that ended well before this run was resumed.

        Args:
            step: nothing that it needs has run since.
            results: of all that it needs.
        """
        found = self.finished.of(step, results)
        if found is not None:
            self.fingerprints[step.id] = found.fingerprint
        return found

    @contextmanager
    def turn(
        self,
        step: PlannedStep,
        arguments: Mapping[str, object],
        variables: Mapping[str, object],
        results: Mapping[str, StepResult],
        digest_input: DigestInput,
        tell: Callable[[str], None],
        is_cancelled: Callable[[], bool],
    ) -> Iterator[Turn]:
        """Decide for one step, and keep others from running the same until the end of the block.

        Args:
            step: all it needs has ended; its environment may still have to be made.
            arguments: the values of its `with`.
            variables: the values of its `env`.
            results: of all steps that have ended.
            digest_input: fetches an input if need be, and gives its digest.
            tell: told what is waited for.
            is_cancelled: asked while another flowrun runs the same.

        Raises:
            FlowrunError, OSError: the environment or an input can't be had.
        """
        refusal = self._refusal(step)
        if refusal is not None:
            yield Turn(why=refusal)
            return
        env = self.environments.of(step)
        lock = EnvLock(env.backend, env.lock)
        identity = self._identify(step, arguments, variables, lock, digest_input)
        waiting = "waiting for another flowrun, or step, that runs the same"
        file = self._lock_file(identity)
        with exclusive(file, lambda: tell(waiting), is_cancelled, "ran the same step"):
            yield self._look(step, arguments, identity, results)

    def ended(self, step_id: str, identity: Identity | None, run_id: str | None) -> None:
        """Take note of what a step was that ran."""
        self.fingerprints[step_id] = identity.fingerprint if identity else f"run {run_id}"

    def identify_late(
        self,
        step: PlannedStep,
        arguments: Mapping[str, object],
        variables: Mapping[str, object],
        env: EnvLock,
        digests: Mapping[str, Digest],
    ) -> Identity | None:
        """Give the identity of a step that ran without being looked for; None: it has none."""
        if self.request.options.in_place:
            return None
        try:
            return self._identify(step, arguments, variables, env, lambda name, _: digests[name])
        except FlowrunError:
            return None  # its code can't be listed: nobody can use what it did

    def _look(
        self,
        step: PlannedStep,
        arguments: Mapping[str, object],
        identity: Identity,
        results: Mapping[str, StepResult],
    ) -> Turn:
        experiment_id = self._experiment(step)
        try:
            runs = self.earlier.find(identity.fingerprint, experiment_id)
        except (StoreError, UnreachableError) as error:
            return Turn(identity=identity, why=f"the store can't be asked: {error.message}")
        reused, why = self._first_kept(step, runs, arguments, identity)
        if reused is not None:
            return Turn(reused=reused, identity=identity)
        return Turn(identity=identity, why=why or self._why(step, identity, results))

    def _first_kept(
        self,
        step: PlannedStep,
        runs: Sequence[Run],
        arguments: Mapping[str, object],
        identity: Identity,
    ) -> tuple[Reused | None, str]:
        """Give the newest run that can stand for a step, else why none can."""
        why = ""
        for run in runs:
            if self._is_expired(step, run):
                why = why or f"run {run.info.run_id} has expired"
                continue
            try:
                result = self.kept.result_of(step, run, arguments)
            except NotKeptError as error:
                why = why or error.message
                continue
            self.fingerprints[step.id] = identity.fingerprint
            return Reused(result, run.info.run_id, identity.fingerprint), ""
        return None, why

    def _foresee(
        self, step: PlannedStep, results: dict[str, StepResult]
    ) -> tuple[Foreseen, StepResult | None]:
        unsure = next((need for need in step.needs if need not in results), None)
        if unsure is not None:
            return Foreseen(Verdict.UNKNOWN, f"until {self._first_to_run(unsure)} has run"), None
        try:
            before = self.finished_before(step, results)
            if before is not None:
                why = f"run {before.run_id}, before it was resumed"
                return Foreseen(Verdict.REUSE, why, before), before.result
            match step.action:
                case CommandAction():
                    return self._foresee_command(step, results)
                case SelectAction() as selecting:
                    best = select_best(selecting, results)
                    return Foreseen(Verdict.RUN, "a select always runs"), best
                case PipelineEnd() as end:
                    if not self._holds(step, results):
                        return Foreseen(Verdict.UNKNOWN, "its condition is not met"), None
                    values = {
                        name: evaluate(value, step, results, env=self.visible_variables)
                        for name, value in end.results.items()
                    }
                    result = StepResult(step.id, "succeeded", outputs=values)
                    return Foreseen(Verdict.REUSE, "all its steps are"), result
                case FanOut():
                    return Foreseen(Verdict.UNKNOWN, "decided in its turn"), None
                case FanIn():
                    return Foreseen(Verdict.UNKNOWN, "until its items are known"), None
                case Register():
                    return Foreseen(Verdict.RUN, "a register always runs"), None
                case Promote():
                    return Foreseen(Verdict.RUN, "a promote always runs"), None
                case _:
                    assert_never(step.action)
        except _NotYetError as error:
            return Foreseen(Verdict.UNKNOWN, str(error)), None
        except (FlowrunError, OSError) as error:
            return Foreseen(Verdict.UNKNOWN, f"until its turn: {error}"), None

    def _foresee_command(
        self, step: PlannedStep, results: Mapping[str, StepResult]
    ) -> tuple[Foreseen, StepResult | None]:
        refusal = self._refusal(step)
        if refusal is not None:
            return Foreseen(Verdict.RUN, refusal), None
        if not self._holds(step, results):
            return Foreseen(Verdict.UNKNOWN, "its condition is not met"), None
        env = self.environments.known(step)
        if env is None:
            raise _NotYetError("until its environment is resolved")
        own = self.visible_variables
        given = {k: evaluate(v, step, results, env=own) for k, v in step.arguments.items()}
        variables = {k: evaluate(v, step, results, env=own) for k, v in step.variables.items()}
        identity = self._identify(
            step, given, variables, env, lambda name, uri: self._digest_local(step, name, uri)
        )
        experiment_id = self._experiment(step)
        runs = self.earlier.fetched(identity.fingerprint, experiment_id)
        if not runs:
            runs = self.earlier.find(identity.fingerprint, experiment_id)
        reused, why = self._first_kept(step, runs, given, identity)
        if reused is None:
            why = why or self._why(step, identity, results)
            return Foreseen(Verdict.RUN, why), None
        return Foreseen(Verdict.REUSE, f"run {reused.run_id}", reused), reused.result

    def _identify(
        self,
        step: PlannedStep,
        arguments: Mapping[str, object],
        variables: Mapping[str, object],
        env: EnvLock,
        digest_input: DigestInput,
    ) -> Identity:
        known = self.fingerprints
        after = {step_id: known[step_id] for step_id in step.after if step_id in known}
        return self.identifier.identify(step, arguments, variables, env, digest_input, after)

    def _digest_local(self, step: PlannedStep, name: str, uri: str) -> Digest:
        path = find_local(uri, code_of(self.request, step).directory, self.cwd)
        if path is None:
            raise _NotYetError(f"until its input {name} is fetched")
        return self.memo.digest_of(path)

    def _why(
        self,
        step: PlannedStep,
        identity: Identity,
        results: Mapping[str, StepResult],
    ) -> str:
        makers = {
            str(output): step_id
            for step_id in step.needs
            if step_id in results
            for output in results[step_id].outputs.values()
            if isinstance(output, OutputValue)
        }
        try:
            return self.reasons.why(step, identity, makers)
        except FlowrunError as error:
            return f"the store can't say why: {error.message}"

    def _refusal(self, step: PlannedStep) -> str | None:
        """Say why no run may stand for a step; None if one may."""
        options = self.request.options
        if options.in_place:
            return IN_PLACE
        if options.must_run(step):
            return RERUN
        if not step.cache.is_on:
            return NO_CACHE
        if not self.request.plan.is_pipeline:
            return ALONE
        return None if options.is_cache_on else CACHE_OFF

    def _may_reuse_any(self) -> bool:
        return any(self._refusal(step) is None for step in self.request.plan.looks)

    def _holds(self, step: PlannedStep, results: Mapping[str, StepResult]) -> bool:
        return condition_holds(step, results, env=self.visible_variables)

    def _is_expired(self, step: PlannedStep, run: Run) -> bool:
        expires_s, ended_ms = step.cache.expires_s, run.info.end_time_ms
        if expires_s is None:
            return False
        return ended_ms is None or ended_ms + expires_s * 1000 <= self.now()

    def _experiment(self, step: PlannedStep) -> str | None:
        is_own = step.cache.scope.value == "experiment"
        return self.request.options.experiment_id if is_own else None

    def _first_to_run(self, step_id: str) -> str:
        """Give the first step on whose run another depends."""
        foreseen = self.foreseen[step_id]
        prefix, suffix = "until ", " has run"
        if foreseen.verdict is Verdict.UNKNOWN and foreseen.why.endswith(suffix):
            return foreseen.why.removeprefix(prefix).removesuffix(suffix)
        return step_id

    def _lock_file(self, identity: Identity) -> Path:
        text = f"{self.store_uri}\n{identity.fingerprint}"
        return self.locks / hashlib.sha256(text.encode()).hexdigest()[:32]


def open_reuse(
    services: Services,
    request: RunRequest,
    environments: Environments,
    mask: Masker,
    memo: DigestMemo,
    visible_variables: Mapping[str, str],
) -> Reuse:
    """Put together what decides for one run."""
    codes = Codes(services.sources, request.projects)
    earlier = EarlierRuns(services.tracking, services.open_artifacts)
    kept = Kept(services.tracking, services.open_artifacts, memo)
    resumed = request.options.resumed
    finished = earlier.by_ids(resumed.finished) if resumed else {}

    def artifacts_of(run_id: str) -> Artifacts:
        return services.open_artifacts(services.tracking.get_run(run_id).info.artifact_uri)

    return Reuse(
        request,
        Identifier(request, codes, mask),
        environments,
        memo,
        earlier,
        kept,
        Reasons(earlier, codes, artifacts_of),
        visible_variables,
        services.cwd,
        services.now,
        services.home.steps,
        services.tracking_uri,
        FinishedSteps(finished, request.options.run_id, kept, visible_variables),
    )
