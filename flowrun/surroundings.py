"""Carries a plan out in the surroundings of this process: stores, environments, signals, a server.

Here the rooms meet that don't know each other: the engine, and the server on loopback that its
steps log to.
"""

from __future__ import annotations

import importlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import field, replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from flowrun.engine.cache.foresight import foresee
from flowrun.engine.cache.verdicts import Foreseen
from flowrun.engine.cleaning.in_use import use_home
from flowrun.engine.code import Codes
from flowrun.engine.events import Event, Observer
from flowrun.engine.prepare.check import check_approvals, check_before_run
from flowrun.engine.prepare.planning import PlannedProject
from flowrun.engine.record.live import Session, close_abandoned
from flowrun.engine.request import RunOptions, RunRequest
from flowrun.engine.run import PlanRun
from flowrun.engine.run_outcome import RunOutcome
from flowrun.engine.services import Endpoint, Home, ServerEndpoint, Services
from flowrun.engine.steps.container import SESSION_LABEL
from flowrun.envs.own_place import sweep
from flowrun.envs.store import EnvStore
from flowrun.errors import (
    AlreadyExistsError,
    EnvError,
    InvalidStateError,
    StoreError,
    UnsupportedError,
    UsageError,
)
from flowrun.executors.base import Executor, OnLine
from flowrun.executors.by_place import ExecutorsByPlace
from flowrun.executors.local import LocalExecutor, SupervisorProcess
from flowrun.server.loopback import LoopbackServer
from flowrun.settings import Settings
from flowrun.sources.cache import SourceCache
from flowrun.sources.credentials import without_credentials
from flowrun.stores import Stores, new_id, now_ms, open_stores
from flowrun.tracking.entities import Experiment, LifecycleStage
from flowrun.tracking.store import TrackingStore
from flowrun.tracking.uri import is_server
from flowrun.valueclass import valueclass

if TYPE_CHECKING:
    from flowrun.server.asgi import ASGIApp

DEFAULT_EXPERIMENT_ID = "0"
DOCKER_EXECUTOR = "flowrun.executors.docker"
"""By name: to import what it needs takes as long as a short step."""


class SilentObserver:
    """Watches and says nothing."""

    def on(self, event: Event) -> None:
        """Take one event."""


@valueclass
class Surroundings:
    """What this process carries plans out in."""

    settings: Settings
    supervisor: SupervisorProcess
    observer: Observer
    envs_root: Path | None = None
    """Where environments are kept, if not in flowrun's home."""

    def carry_out(
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
        Codes(source_cache(settings), planned.projects).check(planned.plan.looks)
        with ExitStack() as stack:
            stack.enter_context(closing(envs))
            stores = stack.enter_context(open_default_stores(settings))
            if options.rehearsal is None:
                check_approvals(planned.plan, stores.registry, stores.uri)
            endpoint = stack.enter_context(endpoint_of(stores))
            close_killed(settings, stores)
            sweep(home.verifications)
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


def close_killed(settings: Settings, stores: Stores) -> list[str]:
    """Close what killed flowruns of this home left RUNNING in a store; give the runs' ids."""
    remove_containers = partial(_remove_containers, settings.variables)
    live = Home(settings.home).live
    return close_abandoned(live, stores.uri, stores.tracking, now_ms, remove_containers)


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


@valueclass
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
def endpoint_of(stores: Stores) -> Iterator[Endpoint]:
    """Give the server that steps log to: the stores' own, or one on loopback for this long."""
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


def foresee_plan(
    planned: PlannedProject, options: RunOptions, settings: Settings
) -> Mapping[str, Foreseen]:
    """Give what would become of a plan's steps, by their ids; see `engine.foresight`."""
    with ExitStack() as stack:
        envs = stack.enter_context(closing(env_store(settings)))
        stores = stack.enter_context(open_default_stores(settings))
        endpoint = ServerEndpoint(stores.uri, {})
        services = _services(settings, stores, endpoint, envs, None)
        request = RunRequest(planned.plan, planned.projects, options, planned.shown_params)
        return foresee(request, services)


def _services(
    settings: Settings,
    stores: Stores,
    endpoint: Endpoint,
    envs: EnvStore,
    supervisor: SupervisorProcess | None,
) -> Services:
    """Put them together; without a supervisor nothing can be executed."""
    return Services(
        home=Home(settings.home),
        tracking_uri=stores.uri,
        tracking=stores.tracking,
        registry=stores.registry,
        open_artifacts=stores.open_artifacts,
        make_executor=_executors(envs, supervisor),
        envs=envs,
        sources=source_cache(settings),
        endpoint=endpoint,
        variables=settings.variables,
        cwd=settings.cwd,
        user=settings.user,
        now=now_ms,
        new_id=new_id,
    )


def _executors(
    envs: EnvStore, supervisor: SupervisorProcess | None
) -> Callable[[OnLine], Executor]:
    def make(on_line: OnLine) -> Executor:
        assert supervisor is not None  # noqa: S101 - a promise of whoever only looks
        return ExecutorsByPlace(
            LocalExecutor(on_line, process=supervisor),
            lambda: _docker_executor(on_line, envs, supervisor),
        )

    return make


def _docker_executor(on_line: OnLine, envs: EnvStore, supervisor: SupervisorProcess) -> Executor:
    module = importlib.import_module(DOCKER_EXECUTOR)
    made: Executor = module.DockerExecutor(on_line, envs.engine(), supervisor)
    return made


def _remove_containers(variables: Mapping[str, str], session: Session) -> None:
    """Remove what runs in containers of a flowrun that was killed together with its supervisor."""
    connect = importlib.import_module("flowrun.envs.docker_engine").connect
    remove_labelled = importlib.import_module(DOCKER_EXECUTOR).remove_labelled
    with suppress(EnvError):  # with the engine its containers have ended
        engine = connect({**variables, "DOCKER_HOST": session.docker_host or ""})
        remove_labelled(engine, SESSION_LABEL, session.id)


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


def source_cache(settings: Settings) -> SourceCache:
    """Give the cache of projects in flowrun's home; nobody cleans it while this process lives."""
    home = Home(settings.home)
    home.make()
    try:
        use_home(home.root)
    except OSError as error:
        raise StoreError(f"flowrun's home {home.root} can't be used: {error.strerror}") from error
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
