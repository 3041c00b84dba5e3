"""Makes a project's lock file: everything that a run takes, resolved to exact versions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from flowrun.engine.prepare.locked import changes, env_name
from flowrun.engine.prepare.locked_sources import LockedSources, Name, read_lock
from flowrun.engine.prepare.planning import Planner
from flowrun.engine.request import ProjectCode
from flowrun.envs.base import EnvRequest, Wish
from flowrun.envs.contents import changes_of, versions_of
from flowrun.envs.lock import without_digests
from flowrun.envs.manager import choose_manager
from flowrun.envs.platforms import platform_of, this_platform
from flowrun.envs.store import EnvStore
from flowrun.errors import Problem, UsageError
from flowrun.plan.environments import AskedEnv
from flowrun.sources.cache import SourceCache
from flowrun.sources.resolve import resolve
from flowrun.sources.source import Source, SourceKind
from flowrun.spec.load import LOCK_FILE
from flowrun.spec.lockfile import LockedEnv, LockedProject, LockFile, find_env
from flowrun.spec.project import Mark
from flowrun.valueclass import valueclass


@valueclass
class Upgrade:
    """What does not stay as it is locked."""

    every: bool = False
    names: frozenset[str] = frozenset()
    """Packages, environments, images and projects."""

    def takes(self, name: str) -> bool:
        """Tell whether something of this name is to be had anew."""
        return self.every or name in self.names


NO_UPGRADE = Upgrade()


@valueclass
class LockOptions:
    """How to make a lock file."""

    platforms: tuple[str, ...] = ()
    """To lock for, by conda's names; none: those of the file as it is, else this machine's."""
    upgrade: Upgrade = NO_UPGRADE
    may_build: bool = True
    """Whether packages may be built to see what they need."""
    is_check: bool = False
    """Resolve nothing: only tell what would have to be."""


@valueclass
class Locked:
    """A lock file, made."""

    source: Source
    """The project."""
    before: LockFile | None
    """The file that is there."""
    file: LockFile
    """With `is_check` only what is locked already."""
    stale: tuple[Problem, ...]
    """What the file there was does not say, or says of what is asked for no more."""
    notes: tuple[str, ...]
    """What can't be locked."""


class Locker:
    """Makes the lock file of one project."""

    def __init__(
        self,
        cache: SourceCache,
        cwd: Path,
        envs: EnvStore,
        progress: Callable[[str], None],
        options: LockOptions,
    ) -> None:
        """Make it.

        Args:
            cwd: what a relative path starts from.

        Raises:
            UsageError: a platform is none. EnvError: nothing is locked on this machine.
        """
        for name in options.platforms:
            platform_of(name)
        self._here = this_platform().name
        self._cache = cache
        self._cwd = cwd

        def find(uri: str, version: str | None) -> Source:
            return resolve(uri, version, cache=cache, cwd=cwd, progress=progress)

        self._sources = LockedSources(find, cache, is_upgraded=options.upgrade.takes)
        self._envs = envs
        self._progress = progress
        self._options = options
        self._stale: list[Problem] = []
        self._notes: list[str] = []

    def lock(self, uri: str, version: str | None) -> Locked:
        """Resolve all that the project at `uri` may ask for, whichever entry point is run.

        Raises:
            SpecError, SourceError, UnreachableError: the project, or one that it calls, can't be
                read. EnvError: something can't be resolved. UsageError: a name to upgrade is none.
        """
        planner = Planner(self._cache, self._cwd, find=self._sources)
        codes, asked = planner.environments(uri, version)
        old = self._sources.lock or LockFile()
        self._check_names(old)
        by_project: dict[Name, dict[tuple[str, str], LockedEnv]] = {}
        for each in asked:
            name = self._sources.name_of(codes[each.project].source)
            known = by_project.setdefault(name, {})
            env = self._environment(each, name, codes[each.project], old)
            if env is not None:
                known.setdefault((env.name, env.manager), env)
        projects = tuple(self._projects(codes, by_project))
        own = tuple(by_project.get(Name("", None), {}).values())
        file = LockFile(own, projects)
        stale = (*self._sources.problems, *self._stale, *_superfluous(old, file))
        source, before = codes[""].source, self._sources.lock
        return Locked(source, before, file, stale, tuple(self._notes))

    def _environment(
        self, asked: AskedEnv, project: Name, code: ProjectCode, old: LockFile
    ) -> LockedEnv | None:
        request = EnvRequest(asked.env, code.directory)
        manager = choose_manager(request, None)
        name = env_name(request, manager)
        if name is None:
            self._notes.append(
                f"the image of {asked.asked_by[0]} is built from the project: it can't be locked"
            )
            return None
        asks = self._envs.asks(request, manager)
        texts = tuple(sorted(ask.text for ask in asks))
        before = find_env(_environments(old, project), name, manager)
        shown = f"{project.uri}: {name}" if project.uri else name
        if before is None:
            self._note(1, f"environment {shown} ({manager}) is not in it")
        else:
            self._stale += changes(asks, before.asks, shown)
        fits = before if before is not None and before.asks == texts else None
        adopted = self._adopted(code, name, manager, texts) if project.uri else None
        locks: dict[str, str] = {}
        for platform in self._platforms(old):
            kept = before.locks.get(platform, "") if before else ""
            if not kept and before is not None:
                self._note(before.mark.line, f"environment {shown} is not locked for {platform}")
            wish = self._wish(name, kept, platform)
            if fits and kept and wish.kept == kept and not wish.upgraded:
                locks[platform] = kept
            elif adopted is not None and not kept and platform in adopted.locks:
                locks[platform] = adopted.locks[platform]
            elif not self._options.is_check:
                locks[platform] = self._resolved(replace(request, wish=wish), manager, platform)
        return LockedEnv(name, manager, texts, locks)

    def _resolved(self, request: EnvRequest, manager: str, platform: str) -> str:
        def tell(text: str) -> None:
            self._progress(f"{platform}: {text}")

        return without_digests(self._envs.resolve(request, manager, tell))

    def _wish(self, name: str, kept: str, platform: str) -> Wish:
        upgrade, here = self._options.upgrade, self._here
        is_upgraded = upgrade.takes(name)
        there = upgrade.names & _packages(kept)
        return Wish(
            platform=None if platform == here else platform,
            kept="" if is_upgraded else kept,
            upgraded=frozenset() if is_upgraded else frozenset(there),
            may_build=self._options.may_build,
        )

    def _adopted(
        self, code: ProjectCode, name: str, manager: str, asks: tuple[str, ...]
    ) -> LockedEnv | None:
        """Give what another project's own lock file says, where it fits: its author tried it."""
        if self._options.upgrade.takes(name):
            return None
        own = read_lock(code.directory / LOCK_FILE)
        found = find_env(own.environments, name, manager) if own else None
        return found if found is not None and found.asks == asks else None

    def _platforms(self, old: LockFile) -> Sequence[str]:
        if self._options.platforms:
            return self._options.platforms
        every = [*old.environments, *(env for each in old.projects for env in each.environments)]
        there = sorted({platform for env in every for platform in env.locks})
        return there or [self._here]

    def _projects(
        self,
        codes: Mapping[str, ProjectCode],
        by_project: Mapping[Name, Mapping[tuple[str, str], LockedEnv]],
    ) -> Iterator[LockedProject]:
        own = codes[""].source
        seen: set[Name] = set()
        for code in codes.values():
            source = code.source
            name = self._sources.name_of(source)
            if not name.uri or name in seen:
                continue
            seen.add(name)
            is_same = (source.repository, source.tree) == (own.repository, own.tree)
            is_pinned = not is_same and source.kind is not SourceKind.LOCAL
            yield LockedProject(
                name.uri,
                name.version,
                source.commit if is_pinned and source.kind is SourceKind.GIT else None,
                source.tree if is_pinned else None,
                tuple(by_project.get(name, {}).values()),
            )

    def _check_names(self, old: LockFile) -> None:
        """Refuse to upgrade what nothing is called."""
        known: set[str] = set()
        for envs in (old.environments, *(each.environments for each in old.projects)):
            for env in envs:
                known |= {env.name, *(p for lock in env.locks.values() for p in _packages(lock))}
        known |= {each.uri for each in old.projects}
        for name in sorted(self._options.upgrade.names):
            if name not in known:
                raise UsageError(
                    f"--upgrade {name}: nothing in {LOCK_FILE} is called so",
                    "Name a package, an environment's file, an image or a project's URI.",
                )

    def _note(self, line: int, text: str) -> None:
        self._stale.append(Problem(LOCK_FILE, line, 1, text))


def summary(before: LockFile, after: LockFile) -> list[str]:
    """Give what is different between two lock files, for people."""
    old, new = dict(_texts(before)), dict(_texts(after))
    lines: list[str] = []
    for key in sorted(old.keys() | new.keys()):
        if key not in new:
            lines.append(f"{key}: not locked any more")
        elif old.get(key) != new[key]:
            lines.append(f"{key}:{'' if key in old else ' new'}")
            lines += [f"  {change}" for change in changes_of(old.get(key, ""), new[key])]
    return lines


def _texts(file: LockFile) -> Iterator[tuple[str, str]]:
    """Yield everything that is locked, under a name for people."""
    for env in file.environments:
        for platform, lock in env.locks.items():
            yield f"{env.name} ({platform})", lock
    for each in file.projects:
        name = _shown(each)
        if each.tree is not None:
            yield name, f"id: {each.commit or each.tree}\n"
        for env in each.environments:
            for platform, lock in env.locks.items():
                yield f"{name}: {env.name} ({platform})", lock


def _superfluous(old: LockFile, new: LockFile) -> Iterator[Problem]:
    """Yield what is locked and asked for no more."""
    for project in old.projects:
        if new.project(project.uri, project.version) is None and not project.is_empty:
            yield _no_more(project.mark, f"project {_shown(project)}")
    for own in (LockedProject("", environments=old.environments), *old.projects):
        envs = _environments(new, Name(own.uri, own.version))
        for env in own.environments:
            if find_env(envs, env.name, env.manager) is None:
                yield _no_more(env.mark, f"environment {env.name} ({env.manager})")


def _no_more(mark: Mark, what: str) -> Problem:
    return Problem(mark.file, mark.line, mark.column, f"{what} is asked for no more")


def _environments(file: LockFile, project: Name) -> tuple[LockedEnv, ...]:
    if not project.uri:
        return file.environments
    found = file.project(project.uri, project.version)
    return found.environments if found else ()


def _packages(lock: str) -> frozenset[str]:
    return frozenset(versions_of(lock))


def _shown(project: LockedProject) -> str:
    return f"{project.uri} ({project.version})" if project.version else project.uri
