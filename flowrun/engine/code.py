"""What a step's code is: the files of its project that count, and what changed in them."""

from __future__ import annotations

import posixpath
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from flowrun.engine.request import ProjectCode
from flowrun.errors import FlowrunError, PlanError
from flowrun.plan.fingerprint import CodeChange, CodeFile, code_changes, code_digest
from flowrun.plan.plan import PlannedStep
from flowrun.sources.cache import SourceCache
from flowrun.sources.copies import Keeps
from flowrun.sources.listing import tree_files
from flowrun.sources.source import Source
from flowrun.spec.globs import literal, pattern_of, rooted
from flowrun.spec.project import Name

PROJECT_FILE = "mlproject"
"""Its name in lower case: any case will do."""


@dataclass(slots=True)
class Codes:
    """The code of each step of one run; a tree is listed once. Called from any thread."""

    sources: SourceCache
    projects: Mapping[str, ProjectCode]
    _listed: dict[str, list[CodeFile]] = field(default_factory=dict)
    _digests: dict[tuple[str, tuple[Name, ...] | None], str] = field(default_factory=dict)
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
            if not any(pattern.fullmatch(file.path) for file in files):
                problems.append(f"{name.mark}: no file of the project is '{name}' ('sources')")
        if problems:
            raise PlanError("\n".join(problems))

    def wanted(self, step: PlannedStep, inputs: Iterable[Path]) -> Keeps | None:
        """Give what tells which files of the tree a step's directory holds; None: all of them.

        Args:
            step: what it declares as its `sources` is all it gets, so that it can't depend on
                what does not count.
            inputs: relative paths of its inputs, which may lie in the project's directory.
        """
        if step.sources is None:
            return None
        folder = _folder(self.projects[step.project].source)
        globs = rooted((name.text for name in step.sources), folder)
        inside = [posixpath.normpath(posixpath.join(folder, path.as_posix())) for path in inputs]
        if "." in inside:
            return None  # the whole tree is an input
        pattern = pattern_of((*globs, *map(literal, inside)))
        return lambda path: pattern.fullmatch(path) is not None

    def _files(self, step: PlannedStep, source: Source) -> Iterator[CodeFile]:
        """Give the files that count, by their paths from the project's directory."""
        folder = _folder(source)
        prefix = f"{folder}/" if folder else ""
        if step.sources is None:
            for file in self._all(source):
                path = file.path.removeprefix(prefix)
                # The project file's own text does not count: other lines have its meaning.
                if file.path.startswith(prefix) and path.lower() != PROJECT_FILE:
                    yield replace(file, path=path)
            return
        pattern = pattern_of(rooted((name.text for name in step.sources), folder))
        for file in self._all(source):
            if pattern.fullmatch(file.path):
                is_inside = file.path.startswith(prefix)
                path = file.path.removeprefix(prefix) if is_inside else f"/{file.path}"
                yield replace(file, path=path)

    def _all(self, source: Source) -> list[CodeFile]:
        found = self._listed.get(source.tree)
        if found is None:
            entries = tree_files(self.sources, source)
            found = [CodeFile(entry.mode, entry.oid, entry.path) for entry in entries]
            self._listed[source.tree] = found
        return found


def _folder(source: Source) -> str:
    """Give the project's folder in its tree; '' for the top."""
    folder = posixpath.normpath(source.subdir) if source.subdir else "."
    return "" if folder == "." else folder
