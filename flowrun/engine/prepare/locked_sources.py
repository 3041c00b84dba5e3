"""Finds a project and those that it calls, these at the commits of its lock file."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from flowrun.engine.prepare.planning import Find, top_folder
from flowrun.errors import Problem, UsageError
from flowrun.sources.cache import SourceCache
from flowrun.sources.source import Source, SourceKind
from flowrun.sources.uri import shown_uri
from flowrun.spec.load import LOCK_FILE
from flowrun.valueclass import valueclass

if TYPE_CHECKING:
    from flowrun.spec.lockfile import LockedEnv, LockFile

_MAX_BYTES = 64 * 1024 * 1024


@valueclass
class Name:
    """What a lock file calls a project: what asks for it."""

    uri: str
    version: str | None


@dataclass(slots=True)
class LockedSources:
    """Finds a project, and then those that it calls at the commits of its lock file."""

    find: Find
    cache: SourceCache
    lock: LockFile | None = None
    """The project's, read when it is found."""
    is_upgraded: Callable[[str], bool] | None = None
    """Whether a project is to be found anew; told its URI as the lock file has it."""
    problems: list[Problem] = field(default_factory=list)
    """Where the lock file does not say what it should."""
    _own: Source | None = None
    _names: dict[tuple[str, str], Name] = field(default_factory=dict)

    def __call__(self, uri: str, version: str | None) -> Source:
        """Find a project; the first is the one asked for."""
        if self._own is None:
            self._own = self.find(uri, version)
            self.lock = read_lock(self.cache.project_dir(self._own) / LOCK_FILE)
            return self._own
        name = Name(self._shown(uri), version)
        source = self._pinned(uri, name)
        self._names.setdefault((source.uri.partition("#")[0], source.tree), name)
        return source

    def name_of(self, source: Source) -> Name:
        """Give the name of a project that was found, or that is another directory of one."""
        own = self._own
        assert own is not None  # noqa: S101 - the project asked for is found first
        if (source.repository, source.tree) == (own.repository, own.tree):
            return Name(f"#{source.subdir}" if source.subdir != own.subdir else "", None)
        name = self._names[source.uri.partition("#")[0], source.tree]
        subdir = f"#{source.subdir}" if "#" in source.uri else ""
        return Name(name.uri.partition("#")[0] + subdir, name.version)

    def _pinned(self, uri: str, name: Name) -> Source:
        if self.lock is None or (self.is_upgraded and self.is_upgraded(name.uri)):
            return self.find(uri, name.version)
        pinned = self.lock.project(name.uri, name.version)
        if pinned is None or pinned.commit is None:
            source = self.find(uri, name.version)
            if pinned is None and source.kind is not SourceKind.LOCAL:
                self._note(1, f"project {_shown(name)} is not in it")
        else:
            source = replace(self.find(uri, pinned.commit), ref=name.version)
        if pinned is not None and pinned.tree not in {None, source.tree}:
            told = f"project {_shown(name)} has tree {pinned.tree} in it, but {source.tree} now"
            self._note(pinned.mark.line, told)
        return source

    def locked_in(self, source: Source) -> tuple[LockedEnv, ...] | None:
        """Give the locked environments of a project; None without any lock file.

        The lock file of the project asked for rules alone. Without it, that of another project
        that is called says what its own environments are.
        """
        name = self.name_of(source)
        if self.lock is None:
            directory = self.cache.project_dir(source)
            own = read_lock(directory / LOCK_FILE) if name.uri else None
            return own.environments if own else None
        if not name.uri:
            return self.lock.environments
        project = self.lock.project(name.uri, name.version)
        return project.environments if project else ()

    def _shown(self, uri: str) -> str:
        """Give the URI as the lock file has it: of a project beside this one, relative to it."""
        assert self._own is not None  # noqa: S101 - as for `name_of`
        shown = shown_uri(uri, Path("/"))
        base = shown_uri(self._own.repo_url or top_folder(self._own), Path("/"))
        if not (shown.startswith("file:") and base.startswith("file:")):
            return shown
        path, hash_sign, subdir = shown.partition("#")
        return posixpath.relpath(path, base) + hash_sign + subdir

    def _note(self, line: int, text: str) -> None:
        self.problems.append(Problem(LOCK_FILE, line, 1, text))


def read_lock(file: Path) -> LockFile | None:
    """Read a lock file; None if there is none.

    Raises:
        SpecError: it has mistakes. UsageError: it is far too large, or can't be read.
    """
    try:
        with file.open("rb") as stream:
            content = stream.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from error
    if len(content) > _MAX_BYTES:
        raise UsageError(f"{file}: larger than {_MAX_BYTES:,} bytes")
    # by name: without a lock file nothing is loaded for it
    parsed: LockFile = import_module("flowrun.spec.lockfile").parse(
        content.decode("utf-8", "replace"), LOCK_FILE
    )
    return parsed


def _shown(name: Name) -> str:
    return f"{name.uri} ({name.version})" if name.version else name.uri
