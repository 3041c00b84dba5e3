"""A source: a project's code as one exact git tree."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Protocol

from flowrun.valueclass import valueclass


class Progress(Protocol):
    """Told in plain words what is going on (`fetching https://...: receiving objects 45%`)."""

    def __call__(self, text: str, /) -> None:
        """Take one line; at most a few come in a second."""


def silent(text: str, /) -> None:
    """The progress that nobody watches."""


class SourceKind(StrEnum):
    """Where the tree came from."""

    GIT = "git"
    """A git repository, by URL or by a version of a local one."""
    LOCAL = "local"
    """A directory as it is on disk."""
    ZIP = "zip"


@valueclass
class Source:
    """A project's code, resolved. Everything here may be recorded and shown: no credentials.

    `tree` is the whole repository's (or directory's) tree; the project is `subdir` within it.
    """

    kind: SourceKind
    uri: str
    """As asked for, absolute for local paths (`file:///...`), no credentials, with #subdir."""
    repository: Path
    """The bare repository (in flowrun's cache) that holds all of `tree`; for GIT `commit` too."""
    tree: str
    """40 (or 64) hex digits. Submodules are folders in it like any other, not links to commits, so
    for a project that has some it is not the commit's own tree but that with them filled in."""
    subdir: str
    """'' or a relative posix path that lies inside the tree."""
    commit: str | None
    """The commit checked out or asked for, 40 hex digits; None without git or any commit."""
    repo_url: str | None = None
    """The repository's address (its origin, for a local checkout), without credentials."""
    ref: str | None = None
    """The version as asked for."""
    branch: str | None = None
    """Set when the version is a branch, or the local checkout is on one."""
    is_dirty: bool = False
    """A local directory whose tree is not its commit's tree."""
    diff: str | None = None
    """`git diff` of a dirty tree against its commit, binary files included; None when clean."""
    commit_time_s: int | None = None
    """When the commit was made, in seconds since the epoch."""
    directory: Path | None = None
    """The project's directory on the user's disk, for a local directory (`--in-place`)."""
