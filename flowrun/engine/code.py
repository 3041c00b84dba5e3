"""What a step's code is: the files of its project that count, and what changed in them."""

from __future__ import annotations

import posixpath
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from flowrun.engine.request import ProjectCode
from flowrun.errors import FlowrunError, PlanError
from flowrun.plan.fingerprint import CodeChange, CodeFile, code_changes, code_digest
from flowrun.plan.plan import PlannedStep
from flowrun.sources.cache import SourceCache
from flowrun.sources.listing import tree_files
from flowrun.sources.source import Source
from flowrun.spec.globs import pattern_of, rooted
from flowrun.spec.project import Name

PROJECT_FILE = "mlproject"
"""Its name in lower case: any case will do."""


@dataclass(slots=True)
class Codes:
    """The code of each step of one run; a tree is listed once. Called from any thread."""

    sources: SourceCache
    projects: Mapping[str, ProjectCode]
    _listed: dict[str, dict[str, CodeFile]] = field(default_factory=dict)
    """By tree and path."""
    _digests: dict[tuple[str, tuple[Name, ...] | None], str] = field(default_factory=dict)
    _wanted: dict[tuple[str, tuple[Name, ...]], list[str]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def digest(self, step: PlannedStep) -> str:
        """Give the digest of a step's code."""
        with self._lock:
            key = (step.project, step.sources)
            found = self._digests.get(key)
            if found is None:
                source = self.projects[step.project].source
                found = self._digests[key] = code_digest(self._files(step, source))
            return found

    def changes(self, step: PlannedStep, tree: str, subdir: str) -> tuple[CodeChange, ...] | None:
        """Give what changed in a step's code since another tree; None if that is not here."""
        source = self.projects[step.project].source
        before = replace(source, tree=tree, subdir=subdir)
        with self._lock:
            try:
                return code_changes(self._files(step, before), self._files(step, source))
            except FlowrunError:
                return None

    def check(self, steps: Iterable[PlannedStep]) -> None:
        """Refuse `sources` that mean no file.

        Raises:
            PlanError: with a line for each pattern.
        """
        problems: list[str] = []
        # many steps call one entry point, or are instances of one matrix
        for project, name in dict.fromkeys(
            (step.project, name) for step in steps for name in step.sources or ()
        ):
            source = self.projects[project].source
            pattern = pattern_of(rooted([name.text], _folder(source)))
            with self._lock:
                files = self._all(source)
            if not any(map(pattern.fullmatch, files)):
                problems.append(f"{name.mark}: no file of the project is '{name}' ('sources')")
        if problems:
            raise PlanError("\n".join(problems))

    def wanted(self, step: PlannedStep, inputs: Iterable[Path]) -> Collection[str] | None:
        """Give the files of the tree that a step's directory holds; None: all of them.

        Args:
            step: what it declares as its `sources` is all it gets, so that it can't depend on
                what does not count.
            inputs: relative paths of its inputs, which may lie in the project's directory.
        """
        if step.sources is None:
            return None
        source = self.projects[step.project].source
        folder = _folder(source)
        key = (step.project, step.sources)
        with self._lock:
            files = self._all(source)
            if key not in self._wanted:
                pattern = pattern_of(rooted((name.text for name in step.sources), folder))
                self._wanted[key] = [path for path in files if pattern.fullmatch(path)]
        wanted = dict.fromkeys(self._wanted[key])
        for each in inputs:
            path = posixpath.normpath(posixpath.join(folder, each.as_posix()))
            if path == ".":
                return None  # the whole tree is an input
            if path in files:
                wanted[path] = None
            else:
                wanted |= dict.fromkeys(inner for inner in files if inner.startswith(f"{path}/"))
        return wanted

    def _files(self, step: PlannedStep, source: Source) -> Iterator[CodeFile]:
        """Give the files that count, by their paths from the project's directory."""
        folder = _folder(source)
        prefix = f"{folder}/" if folder else ""
        if step.sources is None:
            for file in self._all(source).values():
                path = file.path.removeprefix(prefix)
                # The project file's own text does not count: other lines have its meaning.
                if file.path.startswith(prefix) and path.lower() != PROJECT_FILE:
                    yield replace(file, path=path)
            return
        pattern = pattern_of(rooted((name.text for name in step.sources), folder))
        for file in self._all(source).values():
            if pattern.fullmatch(file.path):
                is_inside = file.path.startswith(prefix)
                path = file.path.removeprefix(prefix) if is_inside else f"/{file.path}"
                yield replace(file, path=path)

    def _all(self, source: Source) -> Mapping[str, CodeFile]:
        found = self._listed.get(source.tree)
        if found is None:
            entries = tree_files(self.sources, source)
            found = {each.path: CodeFile(each.mode, each.oid, each.path) for each in entries}
            self._listed[source.tree] = found
        return found


def _folder(source: Source) -> str:
    """Give the project's folder in its tree; '' for the top."""
    folder = posixpath.normpath(source.subdir) if source.subdir else "."
    return "" if folder == "." else folder
