"""Builds all environments of a project before anything of it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from flowrun.engine.prepare.locked import Asked, EnvLookup, check_locked, tell_problems
from flowrun.engine.prepare.locked_sources import LockedSources
from flowrun.engine.prepare.planning import Planner
from flowrun.engine.request import ProjectCode
from flowrun.envs.base import Env, EnvRequest, Progress
from flowrun.envs.side_by_side import Observer, SideBySide
from flowrun.envs.store import EnvStore
from flowrun.plan.environments import AskedEnv
from flowrun.sources.cache import SourceCache
from flowrun.sources.resolve import resolve
from flowrun.sources.source import Source
from flowrun.valueclass import valueclass


@valueclass
class ProjectEnvs:
    """All environments that a project may ask for."""

    asked: tuple[AskedEnv, ...]
    requests: tuple[EnvRequest, ...]
    """In the same order."""
    store: EnvStore
    manager: str | None
    """As for `EnvStore.ensure`."""

    def check(self) -> None:
        """Find every mistake that can be found before anything is built.

        Raises:
            SpecError, UsageError, EnvError: the first.
        """
        for request in self.requests:
            self.store.check(request, self.manager)

    def build(self, observer: Observer, *, at_once: int) -> None:
        """Build them, and wait for all; whatever ends this ends the builds as well.

        Args:
            observer: told what becomes of each, by its place in `asked`.
            at_once: builds, at most.
        """
        builds = SideBySide(self.requests, self._ensure, observer, at_once=at_once)
        try:
            builds.join()
        finally:
            builds.close()

    def _ensure(
        self, request: EnvRequest, progress: Progress, *, is_cancelled: Callable[[], bool]
    ) -> Env:
        return self.store.ensure(request, self.manager, progress, is_cancelled=is_cancelled)


def project_envs(
    asked: Asked, cache: SourceCache, cwd: Path, store: EnvStore, progress: Callable[[str], None]
) -> ProjectEnvs:
    """Find a project and its environments, those that are locked as they are; nothing is executed.

    Args:
        asked: the project; all of its entry points count.
        cache: finds projects.
        cwd: what a relative path starts from.
        store: where the environments are kept.
        progress: told what takes time, and where the project's lock file does not fit.

    Raises:
        SpecError, UsageError: as `plan_as_locked`.
    """

    def find(uri: str, version: str | None) -> Source:
        return resolve(uri, version, cache=cache, cwd=cwd, progress=progress)

    sources = LockedSources(find, cache)
    planner = Planner(cache, cwd, progress, find=sources)
    codes, envs = planner.environments(asked.uri, asked.version)
    if asked.is_locked:
        check_locked(asked, sources)
    lookup = EnvLookup(sources, store, asked.env_manager)
    requests = tuple(_request(each, codes[each.project], lookup) for each in envs)
    tell_problems((*sources.problems, *lookup.problems), asked, progress)
    return ProjectEnvs(envs, requests, store, asked.env_manager)


def _request(asked: AskedEnv, code: ProjectCode, lookup: EnvLookup) -> EnvRequest:
    request = EnvRequest(asked.env, code.directory, asker=code.source.uri)
    given = lookup.find(asked.env, code)
    if given is None:
        return request
    return replace(request, lock=given.lock, manager=given.manager, wish=given.wish)
