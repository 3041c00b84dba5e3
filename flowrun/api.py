"""What a program calls: the same things that the command line does.

from flowrun import run
outcome = run("https://example.org/team/wine.git", params={"lr": 0.01})
print(outcome.status, outcome.run_id)
"""

from __future__ import annotations

import atexit
import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from flowrun.engine.cache.verdicts import Foreseen
from flowrun.engine.events import Observer
from flowrun.engine.prepare.locked import Asked, plan_as_locked
from flowrun.engine.prepare.params_file import given_params
from flowrun.engine.prepare.planning import PlannedProject
from flowrun.engine.record.outcome import SWEEP_TAG
from flowrun.engine.request import GivenEnv, Releasing, RunOptions
from flowrun.engine.run_outcome import RunOutcome
from flowrun.engine.steps.gpus import gpus_of
from flowrun.engine.values import as_text
from flowrun.errors import StoreError, UnreachableError, UnsupportedError, UsageError
from flowrun.executors.local import SupervisorProcess
from flowrun.plan.selection import Selection, select_steps
from flowrun.settings import Settings, load_settings
from flowrun.sources.source import silent
from flowrun.spec.load import LOCK_FILE
from flowrun.spec.project import EnvKind
from flowrun.surroundings import (
    DEFAULT_EXPERIMENT_ID,
    SilentObserver,
    Surroundings,
    endpoint_of,
    env_store,
    foresee_plan,
    open_default_stores,
    source_cache,
)
from flowrun.valueclass import valueclass

__all__ = [
    "DEFAULT_EXPERIMENT_ID",
    "Preview",
    "Selection",
    "SilentObserver",
    "default_endpoint",
    "env_store",
    "load_again",
    "lock",
    "memory_bytes",
    "open_default_stores",
    "plan",
    "plan_asked",
    "plan_recorded",
    "preview",
    "run",
]

if TYPE_CHECKING:
    from flowrun.engine.prepare.locking import Locked
    from flowrun.plan.sweep import Swept
    from flowrun.proof.again import Again
    from flowrun.proof.recorded import RecordedRun
    from flowrun.stores import Stores

RUNS = "runs:/"
AGAIN_TAG = "flowrun.again"
"""On a run that is a recorded run, run again: that one's id."""


def run(
    uri: str,
    entry_point: str = "main",
    *,
    version: str | None = None,
    params: Mapping[str, object] | None = None,
    params_file: Path | None = None,
    experiment_name: str | None = None,
    experiment_id: str | None = None,
    env_manager: str | None = None,
    run_name: str | None = None,
    run_id: str | None = None,
    jobs: int | None = None,
    fail_fast: bool = False,
    in_place: bool = False,
    require_clean: bool = False,
    locked: bool = False,
    storage_dir: Path | None = None,
    docker_args: Mapping[str, str] | None = None,
    build_image: bool = False,
    cache: bool = True,
    selection: Selection | None = None,
    dry_run_registry: bool = False,
    wait_approval_s: float | None = None,
    observer: Observer | None = None,
    settings: Settings | None = None,
    progress: Callable[[str], None] | None = None,
) -> RunOutcome:
    """Run an entry point of a project, as `flowrun run` does, and wait for its end.

    Args:
        uri: a git URL, a directory or a zip file, with an optional `#subdirectory`; or `runs:/ID`,
            to run a recorded run again: its code, its environments, its parameters.
        entry_point: its name, or a script of the project (`train.py`, `prepare.sh`).
        version: branch, tag, commit or `refs/...` of a git project.
        params: parameter values; they are checked before anything runs. Of a recorded run: those
            that take the place of recorded ones.
        params_file: a YAML or JSON file of more; `params` go before it.
        experiment_name: the experiment to record into, made if it is new.
        experiment_id: the same by its id.
        env_manager: `local`, `virtualenv` or None for the project's own choice.
        run_name: the run's name; by default a random one.
        run_id: record into this existing run.
        jobs: steps at the same time, at most; default: the number of processors.
        fail_fast: stop at the first failed step.
        in_place: run in the project's own directory (local directories only).
        require_clean: refuse code that is not exactly a commit.
        locked: refuse to run anything else than the project's lock file says.
        storage_dir: where downloaded `path` parameters go.
        docker_args: what containers are given beside the project's word, as in `docker run`.
        build_image: run containers of an image that has the project's files in it.
        cache: let finished runs that did the same stand for steps of a pipeline.
        selection: which steps, and which of them must run; default: all, and none.
        dry_run_registry: `register` and `promote` steps only say what they would do.
        wait_approval_s: how long a promotion waits for an approval, maybe infinite; None: the run
            ends with it pending.
        observer: told what happens while it happens.
        settings: the surroundings; by default those of this process.
        progress: told what takes time before the run begins (fetching).

    Raises:
        FlowrunError: something is wrong before any step runs; see `flowrun.errors`.
    """
    settings = settings or load_settings()
    given = given_params(texts_of(params), params_file, settings.cwd)
    wanted = RunOptions(
        "",
        "",
        run_name=run_name,
        run_id=run_id,
        env_manager=env_manager,
        jobs=jobs or processors(),
        builds=processors(),
        cpus=float(max(processors(), jobs or 1)),
        memory_bytes=memory_bytes(),
        gpus=gpus_of(settings.variables),
        fail_fast=fail_fast,
        in_place=in_place,
        storage_dir=storage_dir,
        docker_args=docker_args or {},
        build_image=build_image,
        is_cache_on=cache,
        tags=given.tags,
        releasing=Releasing(dry_run_registry, wait_approval_s),
    )
    with ExitStack() as stack:
        # first of all, since it comes up by itself while the project is found and read
        supervisor = stack.enter_context(closing(SupervisorProcess()))
        if recorded_id(uri) is None:
            asked = Asked(uri, entry_point, version, given.texts, env_manager, locked, given.marks)
            planned, envs = plan_asked(asked, settings, progress)
            wanted = replace(wanted, envs=envs)
        elif locked:
            raise UsageError("--locked is for a project; a recorded run has locks of its own")
        else:
            again = _again(uri, entry_point, version, given.texts, settings, progress)
            planned = again.planned
            wanted = _as_recorded(wanted, again)
            if not (experiment_name or experiment_id or _names_experiment(settings)):
                experiment_id = again.run.experiment_id
        planned, wanted = _selected(planned, wanted, selection)
        if in_place and planned.projects[""].source.directory is None:
            raise UsageError(f"--in-place needs a local directory, not {uri}")
        if require_clean:
            _check_clean(planned)
        if docker_args or build_image:
            _check_docker(planned, docker_args or {})
        surroundings = Surroundings(settings, supervisor, observer or SilentObserver())
        return surroundings.carry_out(planned, wanted, experiment_name, experiment_id)


def plan(
    uri: str,
    entry_point: str = "main",
    *,
    version: str | None = None,
    params: Mapping[str, object] | None = None,
    params_file: Path | None = None,
    locked: bool = False,
    settings: Settings | None = None,
    progress: Callable[[str], None] | None = None,
) -> PlannedProject:
    """Find a project, read it and plan an entry point; nothing of it is executed.

    Args:
        locked: refuse what is not as the project's lock file says.
    """
    settings = settings or load_settings()
    given = given_params(texts_of(params), params_file, settings.cwd)
    if recorded_id(uri) is not None:
        return _again(uri, entry_point, version, given.texts, settings, progress).planned
    asked = Asked(uri, entry_point, version, given.texts, is_locked=locked, marks=given.marks)
    planned, envs = plan_asked(asked, settings, progress)
    _tell_locked(envs, progress or silent)
    return planned


def _tell_locked(envs: Mapping[str, GivenEnv], progress: Callable[[str], None]) -> None:
    if count := len({each.lock for each in envs.values() if each.lock}):
        things = "1 environment" if count == 1 else f"{count} environments"
        progress(f"{things} as in {LOCK_FILE}")


@valueclass
class Preview:
    """A plan, and what would become of its steps."""

    planned: PlannedProject
    foreseen: Mapping[str, Foreseen]
    """By step id; empty if the store can't be read."""


def preview(
    uri: str,
    entry_point: str = "main",
    *,
    version: str | None = None,
    params: Mapping[str, object] | None = None,
    params_file: Path | None = None,
    env_manager: str | None = None,
    locked: bool = False,
    cache: bool = True,
    selection: Selection | None = None,
    settings: Settings | None = None,
    progress: Callable[[str], None] | None = None,
) -> Preview:
    """Plan an entry point, and say which steps `run` would reuse, and why it would run others.

    Nothing is executed, and no environment is built; the arguments are those of `run`.

    Raises:
        FlowrunError: the project can't be planned.
    """
    settings = settings or load_settings()
    given = given_params(texts_of(params), params_file, settings.cwd)
    wanted = RunOptions("", "", env_manager=env_manager, is_cache_on=cache)
    if recorded_id(uri) is None:
        asked = Asked(uri, entry_point, version, given.texts, env_manager, locked, given.marks)
        planned, envs = plan_asked(asked, settings, progress)
        _tell_locked(envs, progress or silent)
        wanted = replace(wanted, envs=envs)
    else:
        again = _again(uri, entry_point, version, given.texts, settings, progress)
        planned, wanted = again.planned, _as_recorded(wanted, again)
    planned, wanted = _selected(planned, wanted, selection)
    try:
        foreseen: Mapping[str, Foreseen] = foresee_plan(planned, wanted, settings)
    except (StoreError, UnreachableError, UnsupportedError) as error:
        (progress or silent)(f"what would be reused can't be said: {error.message}")
        foreseen = {}
    return Preview(planned, foreseen)


def _selected(
    planned: PlannedProject, wanted: RunOptions, selection: Selection | None
) -> tuple[PlannedProject, RunOptions]:
    if selection is None:
        return planned, wanted
    selected = select_steps(planned.plan, selection)
    return replace(planned, plan=selected.plan), replace(wanted, rerun=selected.rerun)


def lock(
    uri: str = ".",
    *,
    version: str | None = None,
    platforms: Sequence[str] = (),
    upgrade: bool | Sequence[str] = False,
    may_build: bool = True,
    is_check: bool = False,
    settings: Settings | None = None,
    progress: Callable[[str], None] | None = None,
) -> Locked:
    """Resolve all that a project takes to exact versions; writes nothing.

    Args:
        uri: as for `run`, but no recorded run.
        version: as for `run`.
        platforms: conda's names; none: those of the lock file that is there, else this machine's.
        upgrade: what does not stay as it is locked: all, or packages, environments, images and
            projects by name.
        may_build: whether packages without a wheel may be built to see what they need, which
            executes code of theirs.
        is_check: resolve nothing, and only tell what is stale.
        settings: as for `run`.
        progress: told what takes time.

    Raises:
        FlowrunError: the project can't be read, or something can't be resolved.
    """
    settings = settings or load_settings()
    # by name: who runs a project does not lock it
    locking = importlib.import_module("flowrun.engine.prepare.locking")
    names = frozenset() if isinstance(upgrade, bool) else frozenset(upgrade)
    options = locking.LockOptions(
        tuple(platforms), locking.Upgrade(upgrade is True, names), may_build, is_check
    )
    cache, envs = source_cache(settings), env_store(settings)
    locker = locking.Locker(cache, settings.cwd, envs, progress or silent, options)
    made: Locked = locker.lock(uri, version)
    return made


def plan_asked(
    asked: Asked, settings: Settings, progress: Callable[[str], None] | None
) -> tuple[PlannedProject, Mapping[str, GivenEnv]]:
    """Plan a project, with the environments that its lock file holds; nothing is executed.

    What looks like a mistake, but may be meant, is told as a warning.
    """
    cache, envs, tell = source_cache(settings), env_store(settings), progress or silent
    planned, locked = plan_as_locked(asked, cache, settings.cwd, envs, tell)
    for warning in planned.plan.warnings:
        tell(f"warning: {warning}")
    return planned, locked


def recorded_id(uri: str) -> str | None:
    """Give the id in `runs:/ID`; None for a project's URI."""
    return uri.removeprefix(RUNS) if uri.startswith(RUNS) else None


def _again(
    uri: str,
    entry_point: str,
    version: str | None,
    texts: Mapping[str, str],
    settings: Settings,
    progress: Callable[[str], None] | None,
) -> Again:
    """Plan a recorded run once more; refuse one whose inputs have changed."""
    run_id = recorded_id(uri) or ""
    if version is not None:
        raise UsageError(f"-v {version}: {uri} has a version of its own, the recorded one")
    again = load_again(run_id, texts, settings, progress)
    if entry_point not in {"main", again.run.entry_point}:
        raise UsageError(f"{uri} ran entry point '{again.run.entry_point}', not '{entry_point}'")
    if again.changed_inputs:
        raise importlib.import_module("flowrun.proof.inputs").changed_error(again.changed_inputs)
    for fact in again.lacking:
        (progress or silent)(f"the record lacks {fact}")
    return again


def load_again(
    run_id: str,
    params: Mapping[str, str],
    settings: Settings,
    progress: Callable[[str], None] | None,
) -> Again:
    """Read a recorded run and plan it once more; nothing is executed."""
    # by name: only who runs something again needs it
    reader = importlib.import_module("flowrun.proof.reading").RunReader
    with open_default_stores(settings) as stores:
        return plan_recorded(reader(stores).read(run_id), stores, params, settings, progress)


def plan_recorded(
    run: RecordedRun,
    stores: Stores,
    params: Mapping[str, str],
    settings: Settings,
    progress: Callable[[str], None] | None,
    swept: Swept | None = None,
) -> Again:
    """Plan a recorded run once more; nothing is executed.

    Args:
        stores: where it is recorded.
        params: values that take the place of recorded ones.
        swept: what a sweep leaves open.
    """
    if swept is None and SWEEP_TAG in run.tags:
        raise UsageError(
            f"run {run.run_id} is a sweep: its trials have runs of their own",
            f"To go on with it: flowrun sweep --resume {run.run_id}",
        )
    recorded_sources = importlib.import_module("flowrun.proof.sources").RecordedSources
    plan_again = importlib.import_module("flowrun.proof.again").plan_again
    cache = source_cache(settings)
    artifacts = stores.open_artifacts(run.artifact_uri)
    find = recorded_sources(run, artifacts, cache, progress or silent)
    again: Again = plan_again(run, find, cache=cache, cwd=settings.cwd, params=params, swept=swept)
    return again


def _as_recorded(wanted: RunOptions, again: Again) -> RunOptions:
    """Give the options with the recorded environments, unless another manager is asked for.

    Everything runs: whoever runs something again wants to see it run.
    """
    envs = again.envs if wanted.env_manager is None else {}
    return replace(
        wanted,
        envs=envs,
        inputs=again.fetched_inputs,
        is_cache_on=False,
        build_image=wanted.build_image or again.builds_image,
        tags={**wanted.tags, AGAIN_TAG: again.run.run_id},
    )


def _names_experiment(settings: Settings) -> bool:
    """Whether the caller's variables name an experiment."""
    names = ("MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID")
    return any(settings.variables.get(name) for name in names)


def _check_clean(planned: PlannedProject) -> None:
    for code in planned.projects.values():
        source = code.source
        if source.commit is None:
            raise UsageError(
                f"{source.uri}: --require-clean needs code in git, at a commit",
                "Commit it, or leave --require-clean out.",
            )
        if source.is_dirty:
            raise UsageError(
                f"{source.uri} has changes that are not in commit {source.commit}, and "
                "--require-clean refuses them",
                "Commit them, or name the commit: -v HEAD.",
            )


def texts_of(params: Mapping[str, object] | None) -> dict[str, str]:
    """Give parameters as texts; UsageError for one that can't be recorded."""
    texts = {name: as_text(value) for name, value in (params or {}).items()}
    for name, text in texts.items():
        _check_text(name, text)
    return texts


def _check_text(name: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:  # bytes of the command line that were no UTF-8
        raise UsageError(
            f"-P {name}: {text!r} is not UTF-8 text, so it can't be recorded"
        ) from None
    if "\0" in text:
        raise UsageError(f"-P {name}: {text!r} holds a NUL, which no command line can")


@lru_cache(maxsize=1)
def default_endpoint() -> tuple[str, str | None, str | None, str | None]:
    """Give the server where `import flowrun` logs to outside any step: URL, token, user, password.

    For a store of this machine one is made on loopback, for the rest of this process.
    """
    stack = ExitStack()
    stores = stack.enter_context(open_default_stores(load_settings()))
    endpoint = stack.enter_context(endpoint_of(stores))
    atexit.register(stack.close)
    names = ("TOKEN", "USERNAME", "PASSWORD")
    token, user, password = (endpoint.variables.get(f"MLFLOW_TRACKING_{name}") for name in names)
    return endpoint.variables["MLFLOW_TRACKING_URI"], token, user, password


def _check_docker(planned: PlannedProject, docker_args: Mapping[str, str]) -> None:
    docker_args_module = importlib.import_module("flowrun.executors.docker_args")
    docker_args_module.check_arguments(docker_args)
    if not any(step.env and step.env.kind is EnvKind.DOCKER for step in planned.plan.looks):
        raise UsageError(
            "--docker-args and --build-image are for docker_env, and no step here has one",
            "Leave them out, or give the project a docker_env.",
        )


def processors() -> int:
    """Give the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_bytes() -> int:
    """Give the machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
