"""Uses a project's lock file: other projects at their locked commits, steps in locked environments.

A lock file that fits is used. Where it does not fit any more, what it says of the rest still is,
and what has to be found anew keeps to it as far as it can; the caller decides whether to go on.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from flowrun.engine.prepare.locked_sources import LockedSources
from flowrun.engine.prepare.planning import PlannedProject, Planner
from flowrun.engine.request import GivenEnv, ProjectCode
from flowrun.envs.base import Ask, EnvRequest, Wish
from flowrun.envs.local_trees import digest_tree
from flowrun.envs.lock import with_digests
from flowrun.envs.manager import DOCKER, LOCAL, choose_manager, describe
from flowrun.envs.platforms import this_platform
from flowrun.envs.store import EnvStore
from flowrun.errors import EnvError, Problem, SpecError, UsageError
from flowrun.sources.cache import SourceCache
from flowrun.sources.resolve import resolve
from flowrun.sources.source import Source
from flowrun.spec.load import LOCK_FILE
from flowrun.spec.project import EnvSpec, Mark
from flowrun.valueclass import valueclass

if TYPE_CHECKING:
    from flowrun.plan.sweep import Swept
    from flowrun.spec.lockfile import LockedEnv

_SUBJECT = re.compile(r"(-c |pip: |channel |variable )?[\w./@:+-]+")
_AFTER_PATH = re.compile(r"[;\[].*")


@valueclass
class Asked:
    """What is to be planned."""

    uri: str
    entry_point: str
    version: str | None
    params: Mapping[str, str]
    env_manager: str | None = None
    is_locked: bool = False
    """Whether the lock file must be there and fit."""
    marks: Mapping[str, Mark] = field(default_factory=dict)
    """Where those parameters stand that come from a file."""
    swept: Swept | None = None
    """Plan a sweep over the entry point."""


@valueclass
class LockedEnvs:
    """What a lock file makes of the environments of a plan."""

    given: Mapping[str, GivenEnv]
    """By step id."""
    problems: tuple[Problem, ...]
    """Where it does not fit what the project asks for now."""


def plan_as_locked(
    asked: Asked,
    cache: SourceCache,
    cwd: Path,
    envs: EnvStore,
    progress: Callable[[str], None],
) -> tuple[PlannedProject, Mapping[str, GivenEnv]]:
    """Plan with what the project's lock file says.

    Args:
        cwd: what a relative path starts from.
        progress: told what takes time, and where the lock file does not fit.

    Returns:
        the plan, and by step id the environments that are locked.

    Raises:
        SpecError: the lock file has mistakes, or must fit and does not. UsageError: it must be
            there and is not.
    """

    def find(uri: str, version: str | None) -> Source:
        return resolve(uri, version, cache=cache, cwd=cwd, progress=progress)

    sources = LockedSources(find, cache)
    planner = Planner(cache, cwd, progress, find=sources)
    planned = planner.plan(
        asked.uri, asked.entry_point, asked.version, asked.params, asked.marks, asked.swept
    )
    if asked.is_locked:
        check_locked(asked, sources)
    found = locked_envs(planned, sources, envs, asked.env_manager)
    tell_problems(found.problems, asked, progress)
    return planned, found.given


def tell_problems(
    problems: Sequence[Problem], asked: Asked, progress: Callable[[str], None]
) -> None:
    """Tell where the lock file does not fit, or refuse it.

    Raises:
        SpecError: it must fit.
    """
    if problems and asked.is_locked:
        raise SpecError(problems, "Run `flowrun lock`, or leave --locked out.")
    for each in problems:
        progress(f"warning: {each}; see `flowrun lock`")


def locked_envs(
    planned: PlannedProject,
    sources: LockedSources,
    envs: EnvStore,
    env_manager: str | None,
) -> LockedEnvs:
    """Look up the environments of all steps for this machine.

    Args:
        sources: found the projects of the plan.
        env_manager: as on the command line.

    Raises:
        SpecError, EnvError, UsageError: as `EnvStore.asks`.
    """
    lookup = EnvLookup(sources, envs, env_manager)
    given: dict[str, GivenEnv] = {}
    seen: dict[tuple[str, EnvSpec], GivenEnv | None] = {}
    for step in planned.plan.looks:
        if step.env is None:
            continue
        same = step.project, replace(step.env, mark=None)
        if same not in seen:
            seen[same] = lookup.find(step.env, planned.projects[step.project])
        if (found := seen[same]) is not None:
            given[step.id] = found
    return LockedEnvs(given, (*sources.problems, *lookup.problems))


def env_name(request: EnvRequest, manager: str) -> str | None:
    """Give what a lock file calls an environment; None for what is not locked.

    That is the caller's own interpreter, and an image that is built from the project's files.
    """
    if manager == LOCAL:
        return None
    if manager != DOCKER:
        return describe(request).label
    docker = request.spec.docker
    return docker.image if docker and docker.build is None else None


def changes(asks: Sequence[Ask], locked: Iterable[str], name: str) -> Iterator[Problem]:
    """Yield where the project asks for something else than what was locked.

    Args:
        name: of the environment.
    """
    now = {ask.text for ask in asks}
    gone = sorted(set(locked) - now)
    for ask in asks:
        if ask.text in locked:
            continue
        before = next((old for old in gone if _subject(old) == _subject(ask.text)), None)
        told = "was not when it was locked"
        if before is not None:
            gone.remove(before)
            told = f"it was locked for '{before}'"
        mark = ask.mark
        yield Problem(mark.file, mark.line, mark.column, f"asks for '{ask.text}', but {told}")
    for text in gone:
        yield Problem(name, 1, 1, f"asks no more for '{text}', for which it was locked")


@dataclass(slots=True)
class EnvLookup:
    """Finds environments in a lock file, and collects what is not there or does not fit."""

    sources: LockedSources
    envs: EnvStore
    env_manager: str | None
    problems: list[Problem] = field(default_factory=list)

    def find(self, spec: EnvSpec, code: ProjectCode) -> GivenEnv | None:
        """Give what a lock file says of an environment of a project; None if it says nothing."""
        request = EnvRequest(spec, code.directory)
        manager = choose_manager(request, self.env_manager)
        name = env_name(request, manager)
        locked = self.sources.locked_in(code.source)
        if name is None or locked is None:
            return None
        found = next((e for e in locked if (e.name, e.manager) == (name, manager)), None)
        if found is None:
            self._note(1, f"environment {name} ({manager}) is not in it")
            return None
        problems = list(changes(self.envs.asks(request, manager), found.asks, name))
        if not problems:
            lock = _lock_here(found, code)
            problems = list(self._missing(request, found, lock))
            if lock is not None and not problems:
                return GivenEnv(manager, lock)
        self.problems += problems
        kept = found.locks.get(this_platform().name, "")
        return GivenEnv(manager, None, Wish(kept=kept)) if kept else None

    def _missing(
        self, request: EnvRequest, found: LockedEnv, lock: str | None
    ) -> Iterator[Problem]:
        """Yield what this machine lacks for a locked environment."""
        if lock is None:
            here = this_platform().name
            there = ", ".join(sorted(found.locks)) or "none"
            told = f"environment {found.name} is not locked for {here}; it is for {there}"
            yield Problem(LOCK_FILE, found.mark.line, found.mark.column, told)
        elif found.manager != DOCKER:
            try:
                self.envs.check(replace(request, lock=lock), found.manager)
            except EnvError as error:
                yield Problem(LOCK_FILE, found.mark.line, found.mark.column, error.message)

    def _note(self, line: int, text: str) -> None:
        self.problems.append(Problem(LOCK_FILE, line, 1, text))


def _lock_here(found: LockedEnv, code: ProjectCode) -> str | None:
    """Give the lock for this platform, with the project's own packages as they are now.

    Raises:
        SpecError: it names as such what is none.
    """
    top = os.path.realpath(code.directory)

    def digest(text: str) -> str:
        path = os.path.realpath(code.directory / _AFTER_PATH.sub("", text).removeprefix("file:"))
        is_asked = any(ask.startswith(text) for ask in found.asks)
        if not Path(path).exists() or not (is_asked or f"{path}/".startswith(f"{top}/")):
            told = f"environment {found.name}: '{text}' is no package of the project"
            mark = found.mark
            raise SpecError([Problem(mark.file, mark.line, mark.column, told)])
        return digest_tree(Path(path))

    lock = found.locks.get(this_platform().name)
    return None if lock is None else with_digests(lock, digest)


def check_locked(asked: Asked, sources: LockedSources) -> None:
    """Refuse what must be locked and can't be.

    Raises:
        UsageError: there is no lock file, or nothing of it would be used.
    """
    if asked.env_manager == LOCAL:
        raise UsageError(
            "--locked and --env-manager local exclude each other: what is installed here is what "
            "it is"
        )
    if sources.lock is None:
        raise UsageError(
            f"--locked: {asked.uri} has no {LOCK_FILE}", "`flowrun lock` writes one; commit it."
        )


def _subject(ask: str) -> str:
    match = _SUBJECT.match(ask)
    return match[0] if match else ask
