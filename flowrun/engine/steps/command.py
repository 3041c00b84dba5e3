"""Carries out a command step: working directory, environment, process, outputs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import assert_never

from flowrun.engine.cache.digest import Digest
from flowrun.engine.cache.identity import Identity, is_input
from flowrun.engine.cache.kept import VALUE_PREFIX
from flowrun.engine.cache.reuse import Reuse
from flowrun.engine.cache.verdicts import Turn
from flowrun.engine.environments import Environments
from flowrun.engine.events import Event, StepProgress, StepStatus
from flowrun.engine.failure import FAILURE, CommandEnded, failure_of, told_failure
from flowrun.engine.masking import Masker
from flowrun.engine.record.outcome import CACHE_TAG
from flowrun.engine.record.recorder import Recorder, StepRecord
from flowrun.engine.request import RunRequest
from flowrun.engine.services import Services
from flowrun.engine.steps.container import ContainerMaker
from flowrun.engine.steps.fetch import Fetcher
from flowrun.engine.steps.gpus import Gpus, visible
from flowrun.engine.steps.inputs import Digester, Inputs
from flowrun.engine.steps.local_paths import local_path_of
from flowrun.engine.steps.outputs import OutputError, OutputTaker, read_metrics, read_values
from flowrun.engine.steps.variables import container_variables, process_variables
from flowrun.engine.values import OutputValue, as_text, with_defaults
from flowrun.envs.base import Env, EnvLock, ImageEnv, PrefixEnv
from flowrun.errors import CancelledError
from flowrun.executors.base import Executor, Job, JobEnded
from flowrun.plan.command import command_line
from flowrun.plan.expressions import StepResult
from flowrun.plan.params import check_value
from flowrun.plan.plan import CommandAction, PlannedStep
from flowrun.valueclass import valueclass

SHELL = "bash"
"""MLflow's: the entry point's command is bash's. Source: mlflow/projects/backend/local.py."""
CONTAINER_SHELL = "sh"
"""Every image with a shell has this one."""
TRAP = "trap 'exit 143' TERM\n"
"""A container ends with its shell: so the shell waits for the program that is asked to end."""


@valueclass
class CommandRunner:
    """Runs the command steps of one run; its methods are called from the steps' threads."""

    services: Services
    request: RunRequest
    recorder: Recorder
    executor: Executor
    secrets: frozenset[str]
    """Every secret's name in the plan: a step sees only those it asks for."""
    mask: Masker
    tell: Callable[[Event], None]
    is_stopped: Callable[[str], bool]
    """Whether the run, or this step of it, is to end."""
    environments: Environments
    containers: ContainerMaker
    reuse: Reuse
    gpus: Gpus

    def inputs(self, step: PlannedStep, work: Path) -> Inputs:
        """Give the inputs of a step before anything of them is there."""
        fetcher = Fetcher(self.services, lambda text: self.tell(StepProgress(step.id, text)))
        directory = self.request.projects[step.project].directory
        return Inputs(directory, self._inputs_folder(work), self.services.cwd, fetcher)

    @contextmanager
    def decided(
        self,
        step: PlannedStep,
        arguments: Mapping[str, object],
        variables: Mapping[str, object],
        results: Mapping[str, StepResult],
        inputs: Inputs,
    ) -> Iterator[Turn]:
        """Find out whether a finished run can stand for the step; see `Reuse.turn`."""

        def digest(name: str, value: str) -> Digest:
            return inputs.digest(name, value, self.reuse.memo)

        def tell(text: str) -> None:
            self.tell(StepProgress(step.id, text))

        def is_stopped() -> bool:
            return self.is_stopped(step.id)

        with self.reuse.turn(step, arguments, variables, results, digest, tell, is_stopped) as turn:
            yield turn

    def begin(
        self,
        step: PlannedStep,
        arguments: Mapping[str, object],
        began: Callable[[StepRecord], None],
        attempt: int,
        doing: str | None = None,
    ) -> StepRecord:
        """Make the run of an attempt at the step, which does what has the fingerprint `doing`."""
        action = step.action
        assert isinstance(action, CommandAction)  # noqa: S101 - the caller's match
        values = with_defaults(action, arguments)
        record = self.recorder.begin_step(step, values, "command", attempt, doing)
        began(record)
        return record

    def run(
        self,
        step: PlannedStep,
        arguments: Mapping[str, object],
        variables: Mapping[str, object],
        inputs: Inputs,
        turn: Turn,
        work: Path,
        record: StepRecord,
    ) -> CommandEnded:
        """Carry out one command step and record it; its run is complete when this returns.

        Args:
            step: its action is a CommandAction.
            arguments: the values of its `with`, and of its matrix where it says so.
            variables: the values of its `env`.
            inputs: as `inputs` gave them.
            turn: that it runs, and why.
            work: its own folder; the caller removes it.
            record: its run.
        """
        action = step.action
        assert isinstance(action, CommandAction)  # noqa: S101 - the caller's match
        record.tags[CACHE_TAG] = turn.why
        env = self.environments.of(step)
        self.recorder.note_env(record, env)
        logs = work / "logs"
        logs.mkdir(parents=True)
        values = with_defaults(action, arguments)
        inputs.project = self._project(step, action, values, work)
        command = command_line(action, self._placed(action, values, inputs))
        changed = _changed(inputs, self.request.options.inputs)
        if changed is not None:
            return CommandEnded(StepStatus.FAILED, changed)
        with self.gpus.taken(step.resources.gpus) as devices:
            job = self._job(step, env, command, variables, inputs, work, record, devices)
            digester = Digester(inputs)
            ended = self._wait_for(job, step)
        self.recorder.note_command(record, command, ended, logs)
        digests = digester.result()
        self.recorder.note_inputs(record, digests)
        failure = failure_of(ended, job)
        if failure is not None:
            return self._told(failure, ended, work, record)
        known = {name: digest for name, (_, digest) in digests.items()}
        identity = turn.identity or self.reuse.identify_late(
            step, arguments, variables, EnvLock(env.backend, env.lock), known
        )
        if identity is not None and (changed := inputs.changed(self.reuse.memo)):
            record.tags[CACHE_TAG] += f"; not kept for others: input {changed} changed meanwhile"
            identity = None
        return self._take_outputs(step, record, inputs.project, work, identity)

    def _job(
        self,
        step: PlannedStep,
        env: Env,
        command: str,
        own: Mapping[str, object],
        inputs: Inputs,
        work: Path,
        record: StepRecord,
        devices: Sequence[str],
    ) -> Job:
        logs = work / "logs"
        job = Job(
            id=record.run_id,
            argv=(SHELL, "-c", command),
            directory=inputs.project,
            variables={},
            stdout=logs / "stdout.log",
            stderr=logs / "stderr.log",
            masked=self.mask.words,
            timeout_s=step.attempts.timeout_s,
        )
        services = self.services
        time_s = self.request.projects[step.project].source.commit_time_s
        match env:
            case PrefixEnv():
                variables = process_variables(
                    services, step, env, own, self.secrets, time_s, record, work
                )
                return replace(job, variables={**variables, **visible(devices, own)})
            case ImageEnv():
                home = self.containers.home(env.docker.user, work)
                container, address = self.containers.make(step, env, inputs, work, devices)
                variables = container_variables(
                    services, step, env, own, address, time_s, record, work
                )
                return replace(
                    job,
                    argv=(CONTAINER_SHELL, "-c", TRAP + command),
                    variables={**home, **variables},
                    container=container,
                )
            case _:
                assert_never(env)

    def _told(
        self, failure: CommandEnded, ended: JobEnded, work: Path, record: StepRecord
    ) -> CommandEnded:
        """Give why a command failed in its own words, if it left any, with its other values."""
        if not ended.exit_code:
            return failure
        try:
            values = read_values(work / "output")
        except OutputError:
            return failure  # it may be as broken as the command
        why = values.pop(FAILURE, "")
        if not why:
            return failure
        record.tags.update((f"{VALUE_PREFIX}{name}", value) for name, value in values.items())
        return told_failure(why, values)

    def _take_outputs(
        self,
        step: PlannedStep,
        record: StepRecord,
        project: Path,
        work: Path,
        identity: Identity | None,
    ) -> CommandEnded:
        try:
            values = read_values(work / "output")
            metrics = read_metrics(project, step.metrics) if step.metrics else {}
            outputs = OutputTaker(self.services, record, project).take(step.outputs)
        except OutputError as error:
            return CommandEnded(StepStatus.FAILED, str(error))
        digests = {name: (str(value), value.digest) for name, value in outputs.items()}
        self.recorder.note_outputs(record, digests, metrics, values, identity)
        outputs_and_values = {**values, **outputs}
        return CommandEnded(StepStatus.SUCCEEDED, outputs=outputs_and_values, identity=identity)

    def _project(
        self,
        step: PlannedStep,
        action: CommandAction,
        values: Mapping[str, object],
        work: Path,
    ) -> Path:
        source = self.request.projects[step.project].source
        if self.request.options.in_place and source.directory is not None:
            return source.directory
        inputs = (as_text(value) for name, value in values.items() if is_input(action, name, value))
        paths = [path for path in map(local_path_of, inputs) if path and not path.is_absolute()]
        wanted = self.reuse.identifier.codes.wanted(step, paths)
        return self.services.sources.write_out(source, work / "code", wanted)

    def _inputs_folder(self, work: Path) -> Path:
        storage = self.request.options.storage_dir
        if storage is None:
            return work / "inputs"
        # A folder of its own for each step of each run, as MLflow makes one for each run.
        return self.services.cwd / storage / f"{work.parent.name[:8]}-{work.name}"

    def _placed(
        self, action: CommandAction, values: Mapping[str, object], inputs: Inputs
    ) -> dict[str, str]:
        """Give every argument's text, those that are paths as local paths."""
        texts: dict[str, str] = {}
        for name, value in values.items():
            declared = action.parameters.get(name)
            if declared is not None:
                check_value(declared, as_text(value))
            if is_input(action, name, value):
                texts[name] = inputs.place(
                    name, value if isinstance(value, OutputValue) else as_text(value)
                )
            else:
                texts[name] = as_text(value)
        return texts

    def _wait_for(self, job: Job, step: PlannedStep) -> JobEnded:
        over = threading.Event()
        ended: list[JobEnded] = []

        def report(outcome: JobEnded) -> None:
            ended.append(outcome)
            over.set()

        if self.is_stopped(step.id):
            raise CancelledError("cancelled before its command began")
        self.executor.start(job, report)
        if self.is_stopped(step.id):
            self.executor.cancel(job.id)  # asked to end between the look and the start
        over.wait()
        return ended[0]


def _changed(inputs: Inputs, expected: Mapping[str, str]) -> str | None:
    """Say which input is not what it must be; None if none is."""
    for name, (uri, _, digest) in inputs.placed.items():
        wanted = expected.get(uri)
        if digest is not None and wanted not in {None, digest.sha256}:
            return (
                f"its input '{name}', {uri}, has changed: its sha256 was {wanted}, "
                f"and is {digest.sha256} now"
            )
    return None
