"""Finds the projects of a recorded run again: its own, and those that its steps called."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO

from flowrun.engine.record.recorder import TREES
from flowrun.errors import NotRepeatableError
from flowrun.plan.draw import Json
from flowrun.proof.reading import planned_steps
from flowrun.proof.recorded import RecordedRun, RecordedSource
from flowrun.sources.cache import SourceCache
from flowrun.sources.restore import Remembered, restore
from flowrun.sources.source import Progress, Source
from flowrun.sources.uri import GitUri, LocalUri, PageUri, ZipUri, parse_uri
from flowrun.tracking.artifacts import Artifacts
from flowrun.valueclass import valueclass


@valueclass
class RecordedSources:
    """What `Planner` asks for projects: each as it was, wherever its ref has moved since."""

    run: RecordedRun
    artifacts: Artifacts
    """The run's."""
    cache: SourceCache
    progress: Progress

    def __call__(self, uri: str, version: str | None) -> Source:
        """Give the source that a project had in the run.

        Raises:
            NotRepeatableError: the record does not say.
            SourceError, UnreachableError: it can't be had any more.
        """
        own = self.run.source
        if uri == own.uri and version == own.ref:
            return self._restored(self._remembered(own, self.run.diff))
        return self._restored(self._called(uri, version))

    def own(self) -> Source:
        """Give the source of the project that was run."""
        return self(self.run.source.uri, self.run.source.ref)

    def _called(self, uri: str, version: str | None) -> Remembered:
        shown = _shown(uri)
        projects = (self.run.plan or {}).get("sub_projects")
        for key, sub in (projects if isinstance(projects, dict) else {}).items():
            if not isinstance(sub, dict) or sub.get("version") != version:
                continue
            known = str(sub.get("uri"))
            if known == shown or known.partition("#")[0] == shown:
                return self._of_step(key) or _of_plan(sub)
        raise NotRepeatableError(
            f"run {self.run.run_id}: the record does not say which commit "
            f"{uri}{f' at {version}' if version else ''} was"
        )

    def _of_step(self, key: str) -> Remembered | None:
        """What a step in the called project says of it, which is more than the plan does."""
        for planned in planned_steps(self.run.plan):
            step = self.run.step(str(planned.get("id")))
            if planned.get("project") == key and step is not None:
                return self._remembered(step.source, None)
        return None

    def _remembered(self, source: RecordedSource, diff: str | None) -> Remembered:
        if source.tree is None:
            raise NotRepeatableError(
                f"run {self.run.run_id}: the record lacks the tree of {source.uri} (recorded by "
                f"flowrun {self.run.flowrun_version})"
            )
        return Remembered(
            uri=source.uri,
            tree=source.tree,
            subdir=source.subdir,
            commit=source.commit,
            repo_url=source.repo_url,
            ref=source.ref,
            branch=source.branch,
            is_dirty=source.is_dirty,
            diff=diff,
            commit_time_s=source.commit_time_s,
        )

    def _restored(self, wanted: Remembered) -> Source:
        path = f"{TREES}/{wanted.tree}.pack"

        def open_pack() -> AbstractContextManager[IO[bytes]] | None:
            return self.artifacts.open(path) if self.artifacts.exists(path) else None

        return restore(wanted, open_pack, cache=self.cache, progress=self.progress)


def _of_plan(sub: Mapping[str, Json]) -> Remembered:
    uri, commit = str(sub.get("uri")), sub.get("commit")
    base, _, subdir = uri.partition("#")
    return Remembered(
        uri=uri,
        tree=str(sub.get("tree")),
        subdir=subdir,
        commit=str(commit) if commit else None,
        repo_url=base if commit else None,
    )


def _shown(uri: str) -> str:
    """Give a URI as sources are recorded: absolute, without credentials."""
    match parse_uri(uri, Path("/")):
        case LocalUri(path, subdir):
            base = Path(path).resolve().as_uri()
        case GitUri(url, subdir):
            base = url
        case PageUri(repository, _, _):
            return repository.url  # its folder is told from its ref only by asking
        case ZipUri(url, _, subdir):
            base = url
    return base + (f"#{subdir}" if subdir else "")
