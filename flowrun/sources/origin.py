"""A repository that is kept elsewhere, and what flowrun's cache has of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from flowrun.errors import SourceError, UnreachableError
from flowrun.settings import is_offline, offline_error
from flowrun.sources.cache import SourceCache
from flowrun.sources.failures import explained
from flowrun.sources.git import Git, GitFailedError, SilentHostError
from flowrun.sources.refs import FoundRef, RemoteRefs, read_refs
from flowrun.sources.repository import Repository
from flowrun.sources.source import Progress, silent
from flowrun.sources.uri import GitUri
from flowrun.valueclass import valueclass


@valueclass
class Origin:
    """One repository somewhere; its URL may be shown."""

    uri: GitUri
    cache: SourceCache
    progress: Progress

    @property
    def url(self) -> str:
        """The address, without credentials."""
        return self.uri.url

    def repository(self, commit: str) -> Repository:
        """Flowrun's own copy, of the same kind of ids as this commit's."""
        hash_name = "sha256" if len(commit) == 64 else "sha1"
        return self.cache.repository(self.url, self.url, hash_name)

    def refs(self) -> RemoteRefs:
        """Ask for all branches, tags and other refs.

        Raises:
            SourceError: there is no repository. UnreachableError: there is no answer.
        """
        self.progress(f"asking {self.url} for its versions")
        listing = self._talk(self.cache.git, silent, "ls-remote", "--symref", "--", self.url)
        return read_refs(os.fsdecode(listing))

    def fetch(self, commit: str, ref: str | None) -> None:
        """Have this commit, with all its files, in the cache.

        As little as the host allows is fetched: this commit alone, by its id or by the ref that is
        known to lead to it, or else all branches and tags.

        Args:
            commit: all digits.
            ref: the full name of a ref that had this commit a moment ago.

        Raises:
            SourceError: the repository has no such commit. UnreachableError: there is no answer.
        """
        repository = self.repository(commit)
        if repository.find(_pinned(commit)):
            return
        with self.cache.lock(repository, self.progress, self.url):
            if repository.find(_pinned(commit)):
                return
            _sweep(repository.path)
            self._fetch(repository, commit, ref)
            repository.pin(_pinned(commit), commit)

    def fetch_all(self, repository: Repository) -> None:
        """Have all branches and tags, with their whole history. The caller holds the lock."""
        is_shallow = (repository.path / "shallow").exists()
        self._fetch_into(
            repository,
            *(("--unshallow",) if is_shallow else ()),
            "--prune",
            "--",
            self.url,
            "+refs/heads/*:refs/flowrun/remote/heads/*",
            "+refs/tags/*:refs/flowrun/remote/tags/*",
        )

    def commits_beginning(self, digits: str) -> list[str]:
        """All commits of the branches and tags whose id begins so.

        Raises:
            UnreachableError: there is no answer.
        """
        repository = self.repository("")
        with self.cache.lock(repository, self.progress, self.url):
            _sweep(repository.path)
            self.fetch_all(repository)
        return commits_beginning(repository, digits)

    def _fetch(self, repository: Repository, commit: str, ref: str | None) -> None:
        shallow = ("--depth=1", "--", self.url)
        if not _is_complete(repository):
            for wanted in (commit, ref):
                if wanted is not None and self._try(repository, commit, *shallow, wanted):
                    return
        self.fetch_all(repository)
        if _has(repository, commit):
            return
        for wanted in (ref, commit):
            if wanted is not None and self._try(repository, commit, "--", self.url, wanted):
                return
        raise SourceError(
            f"{self.url}: there is no commit {commit}",
            "It may have been removed from its branch, or never been pushed.",
        )

    def _try(self, repository: Repository, commit: str, *arguments: str) -> bool:
        """Fetch in one of the ways that not every host allows; whether it brought the commit."""
        *options, wanted = arguments
        try:
            self._fetch_into(repository, *options, f"+{wanted}:refs/flowrun/incoming")
        except SourceError:
            return False
        except UnreachableError as error:
            if isinstance(error.__cause__, GitFailedError) and _is_refusal(error.__cause__):
                return False
            raise
        return _has(repository, commit)

    def _fetch_into(self, repository: Repository, *arguments: str) -> None:
        what = f"fetching {self.url}"
        self.progress(what)
        options = ("--progress", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance")
        self._talk(repository.git, _reader(self.progress, what), "fetch", *options, *arguments)

    def _talk(self, git: Git, on_line: Callable[[str], None], *arguments: str) -> bytes:
        if is_offline(self.cache.variables) and not self.url.startswith("file:"):
            raise UnreachableError(offline_error(f"{self.url}: this version"))
        try:
            return git.logged_in(self.uri.credentials).talk(*arguments, on_line=on_line)
        except GitFailedError as failed:
            raise explained(self.url, failed) from failed
        except SilentHostError as error:
            raise UnreachableError(f"{self.url}: the host does not answer ({error})") from error


def commits_beginning(repository: Repository, digits: str) -> list[str]:
    """All commits in a repository whose id begins so."""
    found = repository.git.text("rev-parse", f"--disambiguate={digits}")
    rows = repository.git.run("cat-file", "--batch-check", stdin=found.encode() + b"\n")
    return [row.split()[0].decode() for row in rows.splitlines() if b" commit " in row]


def remember(repository: Repository, version: str | None, found: FoundRef) -> None:
    """Keep what a version meant today, for a day without the network."""
    seen = _read_seen(repository.path) | {version or "HEAD": found.commit}
    made = repository.path / f"flowrun-seen.{os.getpid()}-{os.urandom(4).hex()}"
    made.write_text(json.dumps(seen, indent=1), encoding="utf-8")
    made.replace(repository.path / "flowrun-seen.json")


def last_seen(repository: Repository, version: str | None) -> str | None:
    """The commit that a version meant when the origin was last asked."""
    return _read_seen(repository.path).get(version or "HEAD")


def _read_seen(repository: Path) -> dict[str, str]:
    try:
        seen = json.loads((repository / "flowrun-seen.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return {str(version): str(commit) for version, commit in seen.items()}


def _pinned(commit: str) -> str:
    return f"refs/flowrun/commits/{commit}"


def _has(repository: Repository, commit: str) -> bool:
    return repository.find(f"{commit}^{{commit}}") == commit


def _is_complete(repository: Repository) -> bool:
    """Whether all branches were fetched once with their history: then the rest costs little."""
    return (repository.path / "refs/flowrun/remote").exists() and not (
        repository.path / "shallow"
    ).exists()


def _sweep(repository: Path) -> None:
    """Remove what a git that was killed left half made; the caller holds the lock."""
    for pattern in ("*.lock", "objects/pack/tmp_*", "objects/tmp_*", "refs/flowrun/**/*.lock"):
        for left in repository.glob(pattern):
            if left.is_file():
                left.unlink(missing_ok=True)


def _is_refusal(failed: GitFailedError) -> bool:
    """Whether the host answered, but does not give what was asked for in this way."""
    return any(
        text in failed.stderr
        for text in ("not our ref", "unadvertised object", "shallow", "dumb http", "remote ref")
    )


def _reader(progress: Progress, what: str) -> Callable[[str], None]:
    """GitPython takes long to import: only for somebody who watches."""
    if progress is silent:
        return silent
    make: Callable[[Progress, str], Callable[[str], None]] = import_module(
        "flowrun.sources.fetch_progress"
    ).line_reader
    return make(progress, what)
