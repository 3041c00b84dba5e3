"""The engine on real parts, in this process: stores, sources and the local executor."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from flowrun.engine.events import Event
from flowrun.engine.prepare.planning import Planner
from flowrun.engine.request import RunOptions, RunRequest
from flowrun.engine.run import PlanRun
from flowrun.engine.services import Home, Services
from flowrun.envs.store import EnvStore
from flowrun.executors.base import Executor, OnLine
from flowrun.executors.local import LocalExecutor
from flowrun.sources.cache import SourceCache
from flowrun.stores import Stores, new_id, now_ms, open_stores

VARIABLES = {"PATH": os.defpath}


@dataclass(frozen=True)
class NoEndpoint:
    """Nobody connects."""

    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: Sequence[str] = ()
    was_used: bool = False

    def variables_at(self, address: str) -> Mapping[str, str]:
        """The same."""
        del address
        return self.variables


@dataclass
class Heard:
    """Remembers what happened, and acts on it."""

    react: Callable[[Event], None] = lambda _: None
    events: list[Event] = field(default_factory=list)

    def on(self, event: Event) -> None:
        """Take one event."""
        self.events.append(event)
        self.react(event)


@dataclass(frozen=True)
class Engine:
    """Makes runs of projects below a folder."""

    path: Path
    stores: Stores
    home: Home

    def plan_run(
        self,
        text: str,
        heard: Heard,
        *,
        make_executor: Callable[[OnLine], Executor] = LocalExecutor,
        jobs: int = 2,
        variables: Mapping[str, str] = VARIABLES,
        now: Callable[[], int] = now_ms,
        gpus: tuple[str, ...] = (),
    ) -> PlanRun:
        """Plan `main` of the project file with this text."""
        project = self.path / "project"
        project.mkdir(exist_ok=True)
        (project / "MLproject").write_text(text)
        sources = SourceCache(self.home.sources, variables)
        planned = Planner(sources, self.path).plan(str(project), "main", None, {})
        services = Services(
            home=self.home,
            tracking_uri=self.stores.uri,
            tracking=self.stores.tracking,
            registry=self.stores.registry,
            open_artifacts=self.stores.open_artifacts,
            make_executor=make_executor,
            envs=EnvStore(self.home.envs, variables=variables, caller_python=Path(sys.executable)),
            sources=sources,
            endpoint=NoEndpoint(),
            variables=variables,
            cwd=self.path,
            user="me",
            now=now,
            new_id=new_id,
        )
        options = RunOptions("0", "Default", env_manager="local", jobs=jobs, cpus=jobs, gpus=gpus)
        return PlanRun(RunRequest(planned.plan, planned.projects, options), services, heard)

    def statuses(self) -> dict[str, str]:
        """Give every run's status by its step; the pipeline's is ''."""
        runs = self.stores.tracking.search_runs(["0"]).items
        return {run.tags.get("flowrun.step", ""): run.info.status.value for run in runs}

    def is_clean(self) -> bool:
        """Tell whether nothing but the record is left of all runs."""
        return not any([*self.home.work.iterdir(), *self.home.live.iterdir()])


@contextmanager
def engine(path: Path) -> Iterator[Engine]:
    """Open the stores of a new home below the folder."""
    home = Home(path / "home")
    home.make()
    with open_stores(home.database_uri, home.artifacts) as stores:
        yield Engine(path, stores, home)
