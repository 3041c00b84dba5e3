"""`verify`: does a recorded run, or the code at a URI, still give the same?"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

from flowrun.api import (
    load_again,
    memory_bytes,
    open_default_stores,
    plan_asked,
    processors,
    recorded_id,
    texts_of,
)
from flowrun.engine.events import Observer
from flowrun.engine.prepare.locked import Asked
from flowrun.engine.prepare.planning import PlannedProject
from flowrun.engine.record.live import PARENT_TAG
from flowrun.engine.request import GivenEnv, Rehearsal, RunOptions
from flowrun.engine.run_outcome import RunOutcome
from flowrun.engine.services import Home
from flowrun.engine.steps.gpus import gpus_of
from flowrun.envs.own_place import own_place
from flowrun.errors import UsageError
from flowrun.executors.local import SupervisorProcess
from flowrun.proof.again import Again
from flowrun.proof.reading import LATEST, VERIFIES_TAG, RunReader
from flowrun.proof.recorded import RecordedRun
from flowrun.proof.verify.report import Report
from flowrun.proof.verify.verification import (
    Executed,
    keep,
    rehearsal_of,
    unlocked,
)
from flowrun.proof.verify.verification import (
    verify as verify_again,
)
from flowrun.settings import Settings, load_settings
from flowrun.sources.source import silent
from flowrun.stores import Stores, all_items, now_ms
from flowrun.surroundings import SilentObserver, Surroundings
from flowrun.tracking.entities import Run, RunStatus
from flowrun.valueclass import valueclass

EXPERIMENT_SUFFIX = " (verify)"
BASELINE = "baseline"
"""What a verification's first run verifies, where nothing was recorded before."""
_RUN_ID = re.compile(rf"{LATEST}|[0-9a-f]{{4,32}}")


def verify(
    target: str,
    entry_point: str = "main",
    *,
    version: str | None = None,
    params: Mapping[str, object] | None = None,
    repeat: int = 1,
    reuse_envs: bool = False,
    relock: bool = False,
    env_manager: str | None = None,
    jobs: int | None = None,
    observer: Observer | None = None,
    settings: Settings | None = None,
    progress: Callable[[str], None] | None = None,
) -> Report:
    """Execute a recorded run again and compare, step by step.

    Args:
        target: a run's id, its first digits, `latest` or `runs:/ID`; or a project's URI, which is
            compared with the latest finished run of the same code, entry point and parameters, or,
            where none is recorded, with a first execution now.
        entry_point: of a project.
        version: of a project.
        params: of a project.
        repeat: executions, to see how far numbers vary by themselves.
        reuse_envs: take environments that were built before; by default they are built anew.
        relock: resolve environments anew instead of taking the recorded locks.
        env_manager: of a project: `local`, `virtualenv`, ...; by default the recorded run's.
        jobs: steps at the same time, at most.
        observer: told what happens in the executions.
        settings: the surroundings; by default those of this process.
        progress: told what takes time.

    Raises:
        NotRepeatableError: what the run needs is gone.
        FlowrunError: anything else that is wrong before it can be executed.
    """
    settings = settings or load_settings()
    told = progress or silent
    with ExitStack() as stack:
        stores = stack.enter_context(open_default_stores(settings))
        places = Home(settings.home).verifications
        place = None if reuse_envs else stack.enter_context(own_place(places))
        desk = _Desk(settings, stores, observer or SilentObserver(), place, jobs)
        run_id = _run_id(target, settings.cwd)
        if run_id is not None:
            if version is not None or params or env_manager or entry_point != "main":
                raise UsageError(
                    f"{target} has its own entry point, version, parameters and environments",
                    "To change them: flowrun run runs:/ID -P NAME=VALUE.",
                )
            again = load_again(run_id, {}, settings, progress)
            again = replace(again, envs=unlocked(again.envs)) if relock else again
        else:
            asked = Asked(target, entry_point, version, texts_of(params), env_manager)
            planned, locked = plan_asked(asked, settings, progress)
            again = desk.baseline(planned, locked, asked, told)
        name = desk.experiment_of(again.run)
        told(f"verifying run {again.run.run_id} ({again.run.name})")
        report = verify_again(
            again,
            lambda number: desk.execute(again, name, number),
            stores,
            repeat=repeat,
            now=now_ms,
        )
        keep(report, stores)
        return report


@valueclass
class _Desk:
    """Executes what is verified, in one set of surroundings."""

    settings: Settings
    stores: Stores
    observer: Observer
    envs_root: Path | None
    jobs: int | None

    def baseline(
        self,
        planned: PlannedProject,
        locked: Mapping[str, GivenEnv],
        asked: Asked,
        told: Callable[[str], None],
    ) -> Again:
        """Give the latest recorded run of the same; execute it first, if there is none.

        Args:
            planned: the project, as it is today.
            locked: the environments that its lock file holds.
            asked: the words in which it was asked for.
            told: told what takes time.
        """
        reader = RunReader(self.stores)
        latest = self._latest(planned, asked.entry_point)
        if latest is None:
            told("no finished run of this code is recorded: executing it a first time")
            envs = _managed(planned, asked.env_manager, locked)
            options = self._options(envs, BASELINE, f"{BASELINE} of {asked.entry_point}")
            outcome = self._carry_out(planned, options, self._experiment("Default"))
            return Again(reader.read(outcome.run_id), planned, envs)
        recorded = reader.read(latest.info.run_id)
        if asked.env_manager is None:
            envs = _as_recorded(recorded, locked)
        else:
            envs = _managed(planned, asked.env_manager, locked)
        return Again(recorded, planned, envs)

    def execute(self, again: Again, experiment_name: str, number: int) -> Executed:
        """Execute a recorded run once more."""
        run = again.run
        name = f"verify {run.name}" + (f" ({number + 1})" if number else "")
        options = replace(self._options(again.envs, run.run_id, name), rehearsal=rehearsal_of(run))
        outcome = self._carry_out(again.planned, options, experiment_name)
        details = (step.detail for step in outcome.steps.values() if step.status == "failed")
        return Executed(
            outcome.run_id,
            outcome.is_surroundings,
            outcome.status is RunStatus.KILLED,
            outcome.cancelled_by,
            "; ".join(details),
        )

    def experiment_of(self, run: RecordedRun) -> str:
        """Give the name of the experiment that a run's verifications are recorded in."""
        return self._experiment(self.stores.tracking.get_experiment(run.experiment_id).name)

    def _experiment(self, name: str) -> str:
        return name if name.endswith(EXPERIMENT_SUFFIX) else f"{name}{EXPERIMENT_SUFFIX}"

    def _latest(self, planned: PlannedProject, entry_point: str) -> Run | None:
        """Give the newest finished run of the same tree, entry point and parameters."""
        source = planned.projects[""].source
        store = self.stores.tracking
        experiments = all_items(lambda token: store.search_experiments(page_token=token))
        shown = {name: str(value) for name, value in planned.plan.params.items()}
        wanted = shown | dict(planned.shown_params)
        found = all_items(
            lambda token: store.search_runs(
                [each.experiment_id for each in experiments],
                filter_text=f"attributes.status = 'FINISHED' AND "
                f"tags.`flowrun.source.tree` = '{source.tree}'",
                page_token=token,
            )
        )
        for run in found:
            is_other = PARENT_TAG in run.tags or VERIFIES_TAG in run.tags
            is_same = (
                run.tags.get("mlflow.project.entryPoint") == entry_point
                and run.tags.get("flowrun.source.subdir", "") == source.subdir
                and "flowrun.in_place" not in run.tags
                and dict(run.params) in (wanted, shown)
            )
            if is_same and not is_other:
                return run
        return None

    def _options(self, envs: Mapping[str, GivenEnv], verifies: str, name: str) -> RunOptions:
        count = processors()
        return RunOptions(
            "",
            "",
            run_name=name,
            jobs=self.jobs or count,
            builds=count,
            cpus=float(max(count, self.jobs or 1)),
            memory_bytes=memory_bytes(),
            gpus=gpus_of(self.settings.variables),
            envs=envs,
            is_cache_on=False,
            rehearsal=Rehearsal(),
            tags={VERIFIES_TAG: verifies},
        )

    def _carry_out(
        self, planned: PlannedProject, options: RunOptions, experiment_name: str
    ) -> RunOutcome:
        with closing(SupervisorProcess()) as supervisor:
            surroundings = Surroundings(self.settings, supervisor, self.observer, self.envs_root)
            return surroundings.carry_out(planned, options, experiment_name, None)


def _managed(
    planned: PlannedProject, env_manager: str | None, locked: Mapping[str, GivenEnv]
) -> Mapping[str, GivenEnv]:
    """Give every step the same manager; None: the project's choice."""
    if env_manager is None:
        return locked
    chosen = GivenEnv(env_manager, None)
    return {step.id: locked.get(step.id, chosen) for step in planned.plan.looks if step.env}


def _as_recorded(run: RecordedRun, locked: Mapping[str, GivenEnv]) -> Mapping[str, GivenEnv]:
    """Give every step the manager that it had, with the lock file's lock if that is for it."""
    envs = dict(locked)
    for step in run.steps:
        known = locked.get(step.id)
        if step.env is not None and (known is None or known.manager != step.env.backend):
            envs[step.id] = GivenEnv(step.env.backend, None)
    return envs


def _run_id(target: str, cwd: Path) -> str | None:
    """Give the run that a target names; None for a project's URI."""
    named = recorded_id(target)
    if named is not None:
        return named
    return target if _RUN_ID.fullmatch(target) and not (cwd / target).exists() else None
