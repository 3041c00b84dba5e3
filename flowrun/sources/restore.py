"""A recorded source to a Source: the same tree again, wherever it can still be had."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO

from flowrun.errors import FlowrunError, SourceError, UnreachableError
from flowrun.sources.cache import SourceCache
from flowrun.sources.git import GitFailedError
from flowrun.sources.keeping import LIMIT_BYTES
from flowrun.sources.origin import Origin
from flowrun.sources.repository import Repository
from flowrun.sources.resolve import resolve
from flowrun.sources.source import Progress, Source, SourceKind
from flowrun.sources.submodules import is_kept, whole_tree
from flowrun.sources.uri import GitUri, LocalUri, parse_uri
from flowrun.valueclass import valueclass

_CHUNK_BYTES = 1 << 20
OpenPack = Callable[[], AbstractContextManager[IO[bytes]] | None]
"""Gives the pack that was kept with the run; None if none was."""


@valueclass
class Remembered:
    """What a record says of a source; the fields are those of `Source`."""

    uri: str
    tree: str
    subdir: str
    commit: str | None = None
    repo_url: str | None = None
    ref: str | None = None
    branch: str | None = None
    is_dirty: bool = False
    diff: str | None = None
    commit_time_s: int | None = None


def restore(
    wanted: Remembered, open_pack: OpenPack, *, cache: SourceCache, progress: Progress
) -> Source:
    """Have a recorded tree in the cache again.

    It is looked for in the cache, then at its commit's repository, in the pack that was kept with
    the run, and last at the URI as it is today. What is found is taken only if it is this tree.

    Raises:
        SourceError: it can't be had any more; the message says what was tried.
        UnreachableError: it may be there, but its host does not answer.
    """
    return _Search(wanted, open_pack, cache, progress).source()


@valueclass
class _Search:
    wanted: Remembered
    open_pack: OpenPack
    cache: SourceCache
    progress: Progress

    def source(self) -> Source:
        failures: list[FlowrunError] = []
        for find in (self._in_cache, self._at_commit, self._in_pack, self._at_uri):
            try:
                repository = find()
            except (SourceError, UnreachableError) as error:
                failures.append(error)
                continue
            if repository is not None:
                return self._source(repository)
        raise self._lost(failures)

    def _in_cache(self) -> Path | None:
        """The repositories that a snapshot, an earlier restoration or a clone left here."""
        pin = _pin(self.wanted.tree)
        for repository in self._own():
            if repository.is_pinned(pin):
                return repository.path
        commit = self.wanted.commit
        for origin in self._origins():
            if commit and is_kept(origin.repository(commit), commit):
                found = self._whole(origin, commit)
                if found is not None:
                    return found
        return None

    def _at_commit(self) -> Path | None:
        commit = self.wanted.commit
        if commit is None or self.wanted.is_dirty:
            return None
        failure: SourceError | UnreachableError | None = None
        for origin in self._origins():
            try:
                return self._whole(origin, commit)
            except (SourceError, UnreachableError) as error:
                failure = failure or error
        if failure is not None:
            raise failure
        return None

    def _whole(self, origin: Origin, commit: str) -> Path | None:
        tree = whole_tree(origin, commit)
        return origin.repository(commit).path if tree == self.wanted.tree else None

    def _in_pack(self) -> Path | None:
        opened = self.open_pack()
        if opened is None:
            return None
        repository = self._restored()
        with self.cache.lock(repository, self.progress, "restored trees"):
            with opened as stream, tempfile.TemporaryFile() as pack:
                while data := stream.read(_CHUNK_BYTES):
                    pack.write(data)
                    if pack.tell() > LIMIT_BYTES:
                        raise SourceError(f"{self.wanted.uri}: the kept pack is too large")
                pack.seek(0)
                try:
                    with repository.git.reading("index-pack", "--stdin", stdin=pack) as said:
                        said.read()
                except GitFailedError as failed:
                    raise SourceError(f"{self.wanted.uri}: the kept pack is damaged") from failed
            if not self._is_complete(repository):
                self._fetch_base(repository)
            if not self._is_complete(repository):
                return None
            repository.pin(_pin(self.wanted.tree), self.wanted.tree)
        return repository.path

    def _fetch_base(self, repository: Repository) -> None:
        """Have the commit that the kept pack adds to."""
        origin, commit = next(self._origins(), None), self.wanted.commit
        if origin is None or commit is None:
            return
        whole_tree(origin, commit)
        kept = origin.repository(commit).path.as_uri()
        repository.git.run(
            *("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", kept),
            f"+refs/flowrun/whole/{commit}:refs/flowrun/bases/{commit}",
        )

    def _at_uri(self) -> Path | None:
        """What lies at the URI today: a directory or zip file that nobody has changed."""
        address = parse_uri(self.wanted.uri, Path("/"))
        if isinstance(address, GitUri):
            return None
        found = resolve(self.wanted.uri, cache=self.cache, cwd=Path("/"), progress=self.progress)
        return found.repository if found.tree == self.wanted.tree else None

    def _is_complete(self, repository: Repository) -> bool:
        try:
            repository.git.run("rev-list", "--objects", "--quiet", self.wanted.tree)
        except GitFailedError:
            return False
        return True

    def _own(self) -> Iterator[Repository]:
        top = self._top()
        if top is not None:
            yield self.cache.repository(f"snapshot of {top}", str(top), self._hash_name)
        yield self._restored()

    def _restored(self) -> Repository:
        return self.cache.repository("restored trees", "restored trees", self._hash_name)

    @property
    def _hash_name(self) -> str:
        return "sha256" if len(self.wanted.tree) == 64 else "sha1"

    def _origins(self) -> Iterator[Origin]:
        """The commit's repository: by its URL, and where it lay on this machine."""
        top = self._top()
        for url in (self.wanted.repo_url, top.as_uri() if top and top.is_dir() else None):
            address = parse_uri(url, Path("/")) if url else None
            if isinstance(address, LocalUri):
                address = GitUri(address.path.as_uri())
            if isinstance(address, GitUri):
                yield Origin(address, self.cache, self.progress)

    def _directory(self) -> Path | None:
        """Where the project lay on this machine, or on the one that recorded it."""
        if not self.wanted.uri.startswith("file:"):
            return None
        address = parse_uri(self.wanted.uri, Path("/"))
        return address.path if isinstance(address, LocalUri) else None

    def _top(self) -> Path | None:
        """The top of the checkout: what `subdir` has beside the URI's own lies above the path."""
        path = self._directory()
        below = self.wanted.uri.partition("#")[2]
        prefix = self.wanted.subdir.removesuffix(below).strip("/")
        depth = len(Path(prefix).parts)
        if path is None or depth > len(path.parents):
            return None
        return path.parents[depth - 1] if depth else path

    def _source(self, repository: Path) -> Source:
        wanted = self.wanted
        directory = self._directory()
        below = wanted.uri.partition("#")[2]
        return Source(
            kind=SourceKind.GIT if directory is None and wanted.commit else SourceKind.LOCAL,
            uri=wanted.uri,
            repository=repository,
            tree=wanted.tree,
            subdir=wanted.subdir,
            commit=wanted.commit,
            repo_url=wanted.repo_url,
            ref=wanted.ref,
            branch=wanted.branch,
            is_dirty=wanted.is_dirty,
            diff=wanted.diff,
            commit_time_s=wanted.commit_time_s,
            directory=directory / below if directory else None,
        )

    def _lost(self, failures: list[FlowrunError]) -> FlowrunError:
        wanted = self.wanted
        what = f"commit {wanted.commit}" if wanted.commit else f"tree {wanted.tree}"
        changed = " with uncommitted changes" if wanted.is_dirty else ""
        said = "".join(f"\n  {error.message}" for error in failures)
        kind = UnreachableError if any(isinstance(e, UnreachableError) for e in failures) else None
        message = f"{wanted.uri}: its code ({what}{changed}) can't be had again{said}"
        hint = (
            "Neither this machine's cache nor the record has it; push the commit to "
            f"{wanted.repo_url}, or run this where it was recorded."
            if wanted.repo_url
            else "Neither this machine's cache nor the record has it."
        )
        return (kind or SourceError)(message, hint)


def _pin(tree: str) -> str:
    return f"refs/flowrun/trees/{tree}"
