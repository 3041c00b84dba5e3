"""Builds all environments of a project before anything of it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flowrun.engine.planning import Planner
from flowrun.envs.base import Env, EnvRequest, Progress
from flowrun.envs.side_by_side import Observer, SideBySide
from flowrun.envs.store import EnvStore
from flowrun.plan.environments import AskedEnv


@dataclass(frozen=True, slots=True)
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
    planner: Planner, store: EnvStore, uri: str, version: str | None, manager: str | None
) -> ProjectEnvs:
    """Find a project and its environments; nothing is executed.

    Args:
        planner: finds projects.
        store: where the environments are kept.
        uri: a git URL, a directory or a zip file, with an optional `#subdirectory`.
        version: branch, tag, commit or `refs/...` of a git project.
        manager: as for `EnvStore.ensure`.
    """
    codes, asked = planner.environments(uri, version)
    requests = tuple(
        EnvRequest(each.env, codes[each.project].directory, asker=codes[each.project].source.uri)
        for each in asked
    )
    return ProjectEnvs(asked, requests, store, manager)
