"""What a program calls: the same things that the command line does.

from flowrun import run
outcome = run("https://example.org/team/wine.git", params={"lr": 0.01})
print(outcome.status, outcome.run_id)
"""

from __future__ import annotations

import atexit
import importlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from flowrun.engine.check import check_before_run
from flowrun.engine.container import SESSION_LABEL
from flowrun.engine.events import Event, Observer
from flowrun.engine.live import Session, close_abandoned
from flowrun.engine.planning import PlannedProject, Planner
from flowrun.engine.request import RunOptions, RunRequest
from flowrun.engine.run import PlanRun, RunOutcome
from flowrun.engine.services import Endpoint, Home, ServerEndpoint, Services
from flowrun.envs.store import EnvStore
from flowrun.errors import (
    AlreadyExistsError,
    EnvError,
    InvalidStateError,
    UnsupportedError,
    UsageError,
)
from flowrun.executors.base import Executor, OnLine
from flowrun.executors.by_place import ExecutorsByPlace
from flowrun.executors.local import LocalExecutor, SupervisorProcess
from flowrun.server.loopback import LoopbackServer
from flowrun.settings import Settings, load_settings
from flowrun.sources.cache import SourceCache
from flowrun.sources.credentials import without_credentials
from flowrun.sources.source import silent
from flowrun.spec.project import EnvKind
from flowrun.stores import Stores, new_id, now_ms, open_stores
from flowrun.tracking.entities import Experiment, LifecycleStage
from flowrun.tracking.store import TrackingStore
from flowrun.tracking.uri import is_server

if TYPE_CHECKING:
    from flowrun.proof.again import Again
    from flowrun.server.asgi import ASGIApp

DEFAULT_EXPERIMENT_ID = "0"
RUNS = "runs:/"
AGAIN_TAG = "flowrun.again"
"""On a run that is a recorded run, run again: that one's id."""
_DOCKER_EXECUTOR = "flowrun.executors.docker"
"""By name: to import what it needs takes as long as a short step."""


class SilentObserver:
    """Watches and says nothing."""

    def on(self, event: Event) -> None:
        """Take one event."""


def run(
    uri: str,
    entry_point: str = "main",
    *,
    version: str | None = None,
    params: Mapping[str, object] | None = None,
    experiment_name: str | None = None,
    experiment_id: str | None = None,
    env_manager: str | None = None,
    run_name: str | None = None,
    run_id: str | None = None,
    jobs: int | None = None,
    fail_fast: bool = False,
    in_place: bool = False,
    require_clean: bool = False,
    storage_dir: Path | None = None,
    docker_args: Mapping[str, str] | None = None,
    build_image: bool = False,
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
        experiment_name: the experiment to record into, made if it is new.
        experiment_id: the same by its id.
        env_manager: `local`, `virtualenv` or None for the project's own choice.
        run_name: the run's name; by default a random one.
        run_id: record into this existing run.
        jobs: steps at the same time, at most; default: the number of processors.
        fail_fast: stop at the first failed step.
        in_place: run in the project's own directory (local directories only).
        require_clean: refuse code that is not exactly a commit.
        storage_dir: where downloaded `path` parameters go.
        docker_args: what containers are given beside the project's word, as in `docker run`.
        build_image: run containers of an image that has the project's files in it.
        observer: told what happens while it happens.
        settings: the surroundings; by default those of this process.
        progress: told what takes time before the run begins (fetching).

    Raises:
        FlowrunError: something is wrong before any step runs; see `flowrun.errors`.
    """
    settings = settings or load_settings()
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
        fail_fast=fail_fast,
        in_place=in_place,
        storage_dir=storage_dir,
        docker_args=docker_args or {},
        build_image=build_image,
    )
    with ExitStack() as stack:
        # first of all, since it comes up by itself while the project is found and read
        supervisor = stack.enter_context(closing(SupervisorProcess()))
        if recorded_id(uri) is None:
            planned = plan(
                uri,
                entry_point,
                version=version,
                params=params,
                settings=settings,
                progress=progress,
            )
        else:
            again = _again(uri, entry_point, version, params, settings, progress)
            planned = again.planned
            wanted = _as_recorded(wanted, again)
        if in_place and planned.projects[""].source.directory is None:
            raise UsageError(f"--in-place needs a local directory, not {uri}")
        if require_clean:
            _check_clean(planned)
        if docker_args or build_image:
            _check_docker(planned, docker_args or {})
        carry_out = _Carried(settings, supervisor, observer or SilentObserver())
        return carry_out.run(planned, wanted, experiment_name, experiment_id)


@dataclass(frozen=True, slots=True)
class _Carried:
    """Carries out plans in these surroundings."""

    settings: Settings
    supervisor: SupervisorProcess
    observer: Observer
    envs_root: Path | None = None
    """Where environments are kept, if not in flowrun's home."""

    def run(
        self,
        planned: PlannedProject,
        options: RunOptions,
        experiment_name: str | None,
        experiment_id: str | None,
    ) -> RunOutcome:
        """Check everything, open the stores, and carry the plan out to its end."""
        settings = self.settings
        home = Home(settings.home)
        envs = env_store(settings, self.envs_root)
        check_before_run(
            planned.plan, planned.projects, envs, options, settings.variables, settings.cwd
        )
        with ExitStack() as stack:
            stack.enter_context(closing(envs))
            stores = stack.enter_context(open_default_stores(settings))
            endpoint = stack.enter_context(_endpoint(stores))
            remove_containers = partial(_remove_containers, settings.variables)
            close_abandoned(home.live, stores.uri, stores.tracking, now_ms, remove_containers)
            run_id, store = options.run_id, stores.tracking
            if run_id is None:
                experiment = _experiment(store, settings, experiment_name, experiment_id)
            else:
                experiment = _experiment_of(store, run_id, experiment_name, experiment_id)
            options = replace(
                options,
                experiment_id=experiment.experiment_id,
                experiment_name=experiment.name,
                project_file=planned.project_file,
            )
            request = RunRequest(planned.plan, planned.projects, options, planned.shown_params)
            services = _services(settings, stores, endpoint, envs, self.supervisor)
            plan_run = PlanRun(request, services, self.observer)
            with _cancelled_by_signals(plan_run):
                return plan_run.carry_out()


def plan(
    uri: str,
    entry_point: str = "main",
    *,
    version: str | None = None,
    params: Mapping[str, object] | None = None,
    settings: Settings | None = None,
    progress: Callable[[str], None] | None = None,
) -> PlannedProject:
    """Find a project, read it and plan an entry point; nothing of it is executed."""
    settings = settings or load_settings()
    if recorded_id(uri) is not None:
        return _again(uri, entry_point, version, params, settings, progress).planned
    texts = _texts(params)
    planner = Planner(_source_cache(settings), settings.cwd, progress)
    return planner.plan(uri, entry_point, version, texts)


def recorded_id(uri: str) -> str | None:
    """Give the id in `runs:/ID`; None for a project's URI."""
    return uri.removeprefix(RUNS) if uri.startswith(RUNS) else None


def _again(
    uri: str,
    entry_point: str,
    version: str | None,
    params: Mapping[str, object] | None,
    settings: Settings,
    progress: Callable[[str], None] | None,
) -> Again:
    """Plan a recorded run once more; refuse one whose inputs have changed."""
    run_id, texts = recorded_id(uri) or "", _texts(params)
    if version is not None:
        raise UsageError(f"-v {version}: {uri} has a version of its own, the recorded one")
    again = _load_again(run_id, texts, settings, progress)
    if entry_point not in {"main", again.run.entry_point}:
        raise UsageError(f"{uri} ran entry point '{again.run.entry_point}', not '{entry_point}'")
    if again.changed_inputs:
        raise importlib.import_module("flowrun.proof.again").changed_error(again.changed_inputs)
    for fact in again.lacking:
        (progress or silent)(f"the record lacks {fact}; it is had anew")
    return again


def _load_again(
    run_id: str,
    params: Mapping[str, str],
    settings: Settings,
    progress: Callable[[str], None] | None,
) -> Again:
    # by name: only who runs something again needs it
    reader = importlib.import_module("flowrun.proof.reading").RunReader
    recorded_sources = importlib.import_module("flowrun.proof.sources").RecordedSources
    plan_again = importlib.import_module("flowrun.proof.again").plan_again
    cache = _source_cache(settings)
    with open_default_stores(settings) as stores:
        run = reader(stores).read(run_id)
        artifacts = stores.open_artifacts(run.artifact_uri)
        find = recorded_sources(run, artifacts, cache, progress or silent)
        again: Again = plan_again(run, find, cache=cache, cwd=settings.cwd, params=params)
        return again


def _as_recorded(wanted: RunOptions, again: Again) -> RunOptions:
    """Give the options with the recorded environments, unless another manager is asked for."""
    envs = again.envs if wanted.env_manager is None else {}
    return replace(wanted, envs=envs, tags={AGAIN_TAG: again.run.run_id})


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


def _texts(params: Mapping[str, object] | None) -> dict[str, str]:
    texts = {name: str(value) for name, value in (params or {}).items()}
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


def planner_of(settings: Settings, progress: Callable[[str], None] | None = None) -> Planner:
    """Give what finds and reads projects."""
    return Planner(_source_cache(settings), settings.cwd, progress)


def env_store(settings: Settings, root: Path | None = None) -> EnvStore:
    """Give the environments in a folder, by default in flowrun's home; to be closed."""
    return EnvStore(
        root or Home(settings.home).envs,
        variables=settings.variables,
        caller_python=Path(sys.executable),
    )


@contextmanager
def open_default_stores(settings: Settings) -> Iterator[Stores]:
    """Open the stores that the settings name: by default the ones in flowrun's home."""
    home = Home(settings.home)
    home.make()
    uri = settings.tracking_uri
    if uri is not None and not is_server(uri):
        raise UnsupportedError(
            f"flowrun records in its own store or on a server, not at {without_credentials(uri)}",
            "Give --tracking-uri http://...; `flowrun server --backend-store-uri` serves a store.",
        )
    with open_stores(
        uri or home.database_uri, home.artifacts, variables=settings.variables
    ) as stores:
        yield stores


@lru_cache(maxsize=1)
def default_endpoint() -> tuple[str, str | None, str | None, str | None]:
    """Give the server where `import flowrun` logs to outside any step: URL, token, user, password.

    For a store of this machine one is made on loopback, for the rest of this process.
    """
    stack = ExitStack()
    stores = stack.enter_context(open_default_stores(load_settings()))
    endpoint = stack.enter_context(_endpoint(stores))
    atexit.register(stack.close)
    names = ("TOKEN", "USERNAME", "PASSWORD")
    token, user, password = (endpoint.variables.get(f"MLFLOW_TRACKING_{name}") for name in names)
    return endpoint.variables["MLFLOW_TRACKING_URI"], token, user, password


@dataclass(frozen=True, slots=True)
class _LoopbackEndpoint:
    """The engine's endpoint: a server on loopback, begun by the first connection."""

    server: LoopbackServer
    token: str
    serve_at: Callable[[str], LoopbackServer]
    """Makes a server at another of this machine's addresses."""
    others: dict[str, LoopbackServer] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    secrets: Sequence[str] = ()
    """None: the token is good for nothing once the run is over."""

    @property
    def variables(self) -> Mapping[str, str]:
        return {"MLFLOW_TRACKING_URI": self.server.url, "MLFLOW_TRACKING_TOKEN": self.token}

    def variables_at(self, address: str) -> Mapping[str, str]:
        with self.lock:
            server = self.others.get(address)
            if server is None:
                server = self.others[address] = self.serve_at(address)
        return {**self.variables, "MLFLOW_TRACKING_URI": server.url}

    @property
    def was_used(self) -> bool:
        return self.server.was_used or any(other.was_used for other in self.others.values())

    def close(self) -> None:
        for server in (self.server, *self.others.values()):
            server.close()


@contextmanager
def _endpoint(stores: Stores) -> Iterator[Endpoint]:
    if stores.credentials is not None:
        yield ServerEndpoint(stores.uri, stores.credentials)
        return
    token = new_id()

    def make_app(address: str | None = None) -> ASGIApp:
        # by name: loaded when a step connects, which most never do
        app = importlib.import_module("flowrun.server.app")
        access = importlib.import_module("flowrun.server.access")
        hosts = access.LOOPBACK_HOSTS | ({address} if address else set())
        made: ASGIApp = app.create_app(
            tracking=stores.tracking,
            registry=stores.registry,
            artifacts_destination=stores.artifacts_destination,
            traces=stores.open_traces(),
            access=access.Access(token=token, hosts=hosts),
        )
        return made

    def serve_at(address: str) -> LoopbackServer:
        return LoopbackServer(partial(make_app, address), address)

    endpoint = _LoopbackEndpoint(LoopbackServer(make_app), token, serve_at)
    try:
        yield endpoint
    finally:
        endpoint.close()


def _services(
    settings: Settings,
    stores: Stores,
    endpoint: Endpoint,
    envs: EnvStore,
    supervisor: SupervisorProcess,
) -> Services:
    return Services(
        home=Home(settings.home),
        tracking_uri=stores.uri,
        tracking=stores.tracking,
        registry=stores.registry,
        open_artifacts=stores.open_artifacts,
        make_executor=lambda on_line: ExecutorsByPlace(
            LocalExecutor(on_line, process=supervisor),
            lambda: _docker_executor(on_line, envs, supervisor),
        ),
        envs=envs,
        sources=_source_cache(settings),
        endpoint=endpoint,
        variables=settings.variables,
        cwd=settings.cwd,
        user=settings.user,
        now=now_ms,
        new_id=new_id,
    )


def _docker_executor(on_line: OnLine, envs: EnvStore, supervisor: SupervisorProcess) -> Executor:
    module = importlib.import_module(_DOCKER_EXECUTOR)
    made: Executor = module.DockerExecutor(on_line, envs.engine(), supervisor)
    return made


def _remove_containers(variables: Mapping[str, str], session: Session) -> None:
    """Remove what runs in containers of a flowrun that was killed together with its supervisor."""
    connect = importlib.import_module("flowrun.envs.docker_engine").connect
    remove_labelled = importlib.import_module(_DOCKER_EXECUTOR).remove_labelled
    with suppress(EnvError):  # with the engine its containers have ended
        engine = connect({**variables, "DOCKER_HOST": session.docker_host or ""})
        remove_labelled(engine, SESSION_LABEL, session.id)


def _check_docker(planned: PlannedProject, docker_args: Mapping[str, str]) -> None:
    docker_args_module = importlib.import_module("flowrun.executors.docker_args")
    docker_args_module.check_arguments(docker_args)
    if not any(step.env and step.env.kind is EnvKind.DOCKER for step in planned.plan.steps):
        raise UsageError(
            "--docker-args and --build-image are for docker_env, and no step here has one",
            "Leave them out, or give the project a docker_env.",
        )


def _experiment(
    store: TrackingStore, settings: Settings, name: str | None, experiment_id: str | None
) -> Experiment:
    """Give the experiment asked for by flags, else by MLflow's variables."""
    if name is not None and experiment_id is not None:
        raise UsageError("give --experiment-name or --experiment-id, not both")
    if name is None and experiment_id is None:
        name = settings.variables.get("MLFLOW_EXPERIMENT_NAME") or None
        experiment_id = None if name else settings.variables.get("MLFLOW_EXPERIMENT_ID") or None
    if name is not None:
        experiment = _experiment_named(store, name)
    else:
        experiment = store.get_experiment(experiment_id or DEFAULT_EXPERIMENT_ID)
    if experiment.lifecycle_stage is LifecycleStage.DELETED:
        raise InvalidStateError(
            f"experiment '{experiment.name}' is deleted", "Restore it, or choose another one."
        )
    return experiment


def _experiment_named(store: TrackingStore, name: str) -> Experiment:
    found = store.get_experiment_by_name(name)
    if found is not None:
        return found
    try:
        return store.get_experiment(store.create_experiment(name))
    except AlreadyExistsError:  # another flowrun was quicker
        return _experiment_named(store, name)


def _experiment_of(
    store: TrackingStore, run_id: str, name: str | None, experiment_id: str | None
) -> Experiment:
    """Give the experiment of a run that is to be recorded into, which must not contradict flags."""
    run = store.get_run(run_id)
    if run.info.lifecycle_stage is LifecycleStage.DELETED:
        raise InvalidStateError(f"run {run_id} is deleted", "Restore it, or leave --run-id out.")
    experiment = store.get_experiment(run.info.experiment_id)
    if name not in {None, experiment.name} or experiment_id not in {None, experiment.experiment_id}:
        raise UsageError(
            f"run {run_id} is in experiment '{experiment.name}' ({experiment.experiment_id})",
            "Leave --experiment-name and --experiment-id out: --run-id says where to record.",
        )
    return experiment


def _source_cache(settings: Settings) -> SourceCache:
    home = Home(settings.home)
    home.make()
    return SourceCache(home.sources, settings.variables)


@contextmanager
def _cancelled_by_signals(plan_run: PlanRun) -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and SIGHUP cancel the run instead of ending this process."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers; the program's own ones decide
        return

    def cancel(number: int, frame: FrameType | None) -> None:
        del frame
        plan_run.cancel(number)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, cancel) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def processors() -> int:
    """Give the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_bytes() -> int:
    """Give the machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
