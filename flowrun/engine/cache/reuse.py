"""Decides which steps need not run, because a finished run did the same.

What can be known before anything runs is decided first, for all steps together (`foresight`): an
unchanged pipeline of thousands of steps then costs a few calls of the store. The others are decided
one by one when their turn comes (`turn`), their environment is there and what they read is known.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from flowrun.engine.cache.digest import Digest
from flowrun.engine.cache.earlier import EarlierRuns
from flowrun.engine.cache.elsewhere import Elsewhere
from flowrun.engine.cache.finished import FinishedSteps
from flowrun.engine.cache.identity import Identifier, Identity
from flowrun.engine.cache.kept import Kept, NotKeptError
from flowrun.engine.cache.memo import DigestMemo
from flowrun.engine.cache.reasons import Reasons
from flowrun.engine.cache.verdicts import (
    ALONE,
    CACHE_OFF,
    IN_PLACE,
    NO_CACHE,
    RERUN,
    Foreseen,
    Reused,
    Turn,
)
from flowrun.engine.code import Codes
from flowrun.engine.environments import Environments
from flowrun.engine.masking import Masker
from flowrun.engine.release.baseline import settled
from flowrun.engine.request import RunRequest
from flowrun.engine.services import Services
from flowrun.engine.values import OutputValue
from flowrun.envs.base import EnvLock
from flowrun.envs.exclusive import exclusive
from flowrun.errors import FlowrunError, StoreError, UnreachableError
from flowrun.plan.expressions import StepResult
from flowrun.plan.plan import CommandAction, PlannedStep
from flowrun.registry.store import RegistryStore
from flowrun.tracking.artifacts import Artifacts
from flowrun.tracking.entities import Run

DigestInput = Callable[[str, str], Digest]


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
    registry: RegistryStore
    elsewhere: Elsewhere | None
    """Of a store that others share; None: whoever works on it is seen by the locks."""
    foreseen: dict[str, Foreseen] = field(default_factory=dict)
    needed_again: dict[str, str] = field(default_factory=dict)
    """Steps that must run although runs did the same: a temporary output is gone, and needed. With
    why, by step id."""
    fingerprints: dict[str, str] = field(default_factory=dict)
    """By step id, of those that ended."""

    def settled(self, step: PlannedStep, arguments: Mapping[str, object]) -> dict[str, object]:
        """Give a step's arguments, with its baseline as one version; see `baseline.settled`."""
        return settled(step, arguments, self.registry, self.request.options.rehearsal)

    def reused(self, step_id: str) -> Reused | None:
        """Give the run that stands for a step, if that was foreseen."""
        foreseen = self.foreseen.get(step_id)
        return foreseen.reused if foreseen else None

    def finished_before(
        self, step: PlannedStep, results: Mapping[str, StepResult], *, may_lack: bool = False
    ) -> Reused | None:
        """Give what stands for a step that ended well before this run was resumed.

        Args:
            step: nothing that it needs has run since.
            results: of all that it needs.
            may_lack: its temporary outputs may be gone.
        """
        if step.id in self.needed_again:
            return None
        found = self.finished.of(step, results, may_lack=may_lack)
        # As when it ran: of steps that the engine carries out, nobody's identity says anything.
        if found is not None and isinstance(step.action, CommandAction):
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
        refusal = self.refusal(step)
        if refusal is not None:
            yield Turn(why=refusal)
            return
        env = self.environments.of(step)
        lock = EnvLock(env.backend, env.lock)
        identity = self.identify(step, arguments, variables, lock, digest_input)
        waiting = "waiting for another flowrun, or step, that runs the same"
        file = self._lock_file(identity)
        with exclusive(file, lambda: tell(waiting), is_cancelled, "ran the same step"):
            turn = self._look(step, arguments, identity, results)
            others = self.elsewhere if turn.reused is None else None
            if others is not None and others.wait(identity.fingerprint, tell, is_cancelled):
                turn = self._look(step, arguments, identity, results)
            yield turn

    def told(self, turn: Turn) -> str | None:
        """Give what others of the store are told that a step does; None: there are no others."""
        return turn.identity.fingerprint if turn.identity and self.elsewhere else None

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
            return self.identify(step, arguments, variables, env, lambda name, _: digests[name])
        except FlowrunError:
            return None  # its code can't be listed: nobody can use what it did

    def _look(
        self,
        step: PlannedStep,
        arguments: Mapping[str, object],
        identity: Identity,
        results: Mapping[str, StepResult],
    ) -> Turn:
        experiment_id = self.experiment_of(step)
        try:
            runs = self.earlier.find(identity.fingerprint, experiment_id)
        except (StoreError, UnreachableError) as error:
            return Turn(identity=identity, why=f"the store can't be asked: {error.message}")
        reused, why = self.first_kept(step, runs, arguments, identity)
        if reused is not None:
            return Turn(reused=reused, identity=identity)
        return Turn(identity=identity, why=why or self.why(step, identity, results))

    def first_kept(
        self,
        step: PlannedStep,
        runs: Sequence[Run],
        arguments: Mapping[str, object],
        identity: Identity,
        *,
        may_lack: bool = False,
    ) -> tuple[Reused | None, str]:
        """Give the newest run that can stand for a step, else why none can.

        Args:
            step: the step.
            runs: the candidates.
            arguments: the values of its `with`.
            identity: what it is.
            may_lack: its temporary outputs may be gone.
        """
        why = ""
        for run in runs:
            if self._is_expired(step, run):
                why = why or f"run {run.info.run_id} has expired"
                continue
            try:
                result = self.kept.result_of(step, run, arguments, may_lack=may_lack)
            except NotKeptError as error:
                why = why or error.message
                continue
            self.fingerprints[step.id] = identity.fingerprint
            return Reused(result, run.info.run_id, identity.fingerprint), ""
        return None, why

    def identify(
        self,
        step: PlannedStep,
        arguments: Mapping[str, object],
        variables: Mapping[str, object],
        env: EnvLock,
        digest_input: DigestInput,
    ) -> Identity:
        """Give what decides a step, as `Identifier.identify`."""
        known = self.fingerprints
        after = {step_id: known[step_id] for step_id in step.after if step_id in known}
        return self.identifier.identify(step, arguments, variables, env, digest_input, after)

    def why(
        self,
        step: PlannedStep,
        identity: Identity,
        results: Mapping[str, StepResult],
    ) -> str:
        """Say what is different from the nearest earlier run of a step."""
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

    def refusal(self, step: PlannedStep) -> str | None:
        """Say why no run may stand for a step; None if one may."""
        options = self.request.options
        if options.in_place:
            return IN_PLACE
        if options.must_run(step):
            return RERUN
        if step.id in self.needed_again:
            return self.needed_again[step.id]
        if not step.cache.is_on:
            return NO_CACHE
        if not self.request.plan.is_pipeline:
            return ALONE
        return None if options.is_cache_on else CACHE_OFF

    def _is_expired(self, step: PlannedStep, run: Run) -> bool:
        expires_s, ended_ms = step.cache.expires_s, run.info.end_time_ms
        if expires_s is None:
            return False
        return ended_ms is None or ended_ms + expires_s * 1000 <= self.now()

    def experiment_of(self, step: PlannedStep) -> str | None:
        """Give the only experiment whose runs may stand for a step; None: any may."""
        is_own = step.cache.scope.value == "experiment"
        return self.request.options.experiment_id if is_own else None

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
    session_id: str = "",
) -> Reuse:
    """Put together what decides for one run.

    Args:
        session_id: of the flowrun that carries it out; '' if nothing will be.
    """
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
        services.registry,
        None
        if services.tracking_uri.startswith("sqlite:")
        else Elsewhere(services.tracking, session_id, earlier.experiment_ids, services.now),
    )
