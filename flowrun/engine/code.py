"""What a step's code is: the files of its project that count, and what changed in them."""

from __future__ import annotations

import posixpath
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from flowrun.engine.request import ProjectCode
from flowrun.errors import FlowrunError
from flowrun.plan.fingerprint import CodeChange, CodeFile, code_changes, code_digest
from flowrun.plan.plan import PlannedStep
from flowrun.sources.cache import SourceCache
from flowrun.sources.listing import tree_files
from flowrun.sources.repository import TreeEntry
from flowrun.sources.source import Source

PROJECT_FILE = "mlproject"
"""Its name in lower case: any case will do."""


@dataclass(slots=True)
class Codes:
    """The code of each step of one run; a tree is listed once. Called from any thread."""

    sources: SourceCache
    projects: Mapping[str, ProjectCode]
    _listed: dict[tuple[str, str], list[CodeFile]] = field(default_factory=dict)
    _digests: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def digest(self, step: PlannedStep) -> str:
        """Give the digest of a step's code."""
        with self._lock:
            found = self._digests.get(step.project)
            if found is None:
                files = self._files(self.projects[step.project].source)
                found = self._digests[step.project] = code_digest(files)
            return found

    def changes(self, step: PlannedStep, tree: str, subdir: str) -> tuple[CodeChange, ...] | None:
        """Give what changed in a step's code since another tree; None if that is not here."""
        source = self.projects[step.project].source
        before = replace(source, tree=tree, subdir=subdir)
        with self._lock:
            try:
                return code_changes(self._files(before), self._files(source))
            except FlowrunError:
                return None

    def _files(self, source: Source) -> list[CodeFile]:
        key = (source.tree, source.subdir)
        found = self._listed.get(key)
        if found is None:
            found = self._listed[key] = list(_of_project(tree_files(self.sources, source), source))
        return found


def _of_project(entries: Iterable[TreeEntry], source: Source) -> Iterable[CodeFile]:
    """Give a project's files but for its project file, whose meaning other lines have."""
    folder = posixpath.normpath(source.subdir) if source.subdir else "."
    prefix = "" if folder == "." else f"{folder}/"
    for entry in entries:
        path = entry.path.removeprefix(prefix)
        if entry.path.startswith(prefix) and path.lower() != PROJECT_FILE:
            yield CodeFile(entry.mode, entry.oid, path)
