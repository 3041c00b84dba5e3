"""How two trees differ: file by file, and as a patch."""

from __future__ import annotations

import os
from enum import StrEnum

from flowrun.errors import SourceError
from flowrun.sources.cache import SourceCache
from flowrun.sources.git import Git, GitFailedError
from flowrun.sources.source import Source
from flowrun.valueclass import valueclass

PATCH_LIMIT_BYTES = 1 << 20

_DIFF = ("diff-tree", "-r", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color")


class FileChangeKind(StrEnum):
    """What happened to a file."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


_KINDS = {"A": FileChangeKind.ADDED, "D": FileChangeKind.REMOVED}


@valueclass
class FileChange:
    """One file that is not the same in both trees."""

    path: str
    kind: FileChangeKind
    lines_added: int | None
    """None for what is no text."""
    lines_removed: int | None


@valueclass
class TreeChanges:
    """What is not the same in two trees."""

    files: tuple[FileChange, ...] = ()
    patch: str = ""
    """In git's form; without the contents of what is no text."""
    is_cut: bool = False
    """There is more of the patch: it is longer than `PATCH_LIMIT_BYTES`."""


def compare_trees(before: Source, after: Source, cache: SourceCache) -> TreeChanges:
    """Give what changed from one tree to another; both are in the cache.

    Raises:
        SourceError: they are of different kinds of ids, or one is not whole in the cache.
    """
    if before.tree == after.tree:
        return TreeChanges()
    if len(before.tree) != len(after.tree):
        raise SourceError(
            f"{after.uri}: git names the trees of one run by SHA-1 and of the other by SHA-256, "
            "so they can't be compared"
        )
    git = cache.git.on(before.repository, borrowed=after.repository / "objects")
    try:
        return _compare(git, before.tree, after.tree)
    except GitFailedError as failed:
        raise SourceError(f"{after.uri}: the trees can't be compared: {failed.stderr}") from failed


def _compare(git: Git, before: str, after: str) -> TreeChanges:
    kinds = _kinds(git.run(*_DIFF, "--name-status", "-z", before, after))
    counts = _counts(git.run(*_DIFF, "--numstat", "-z", before, after))
    with git.reading(*_DIFF, "-p", before, after) as stream:
        patch = stream.read(PATCH_LIMIT_BYTES)
        is_cut = len(patch) == PATCH_LIMIT_BYTES and bool(stream.peek(1))
    files = tuple(
        FileChange(path, kind, *counts.get(path, (None, None))) for path, kind in kinds.items()
    )
    return TreeChanges(files, patch.decode(errors="replace"), is_cut)


def _kinds(listing: bytes) -> dict[str, FileChangeKind]:
    words = os.fsdecode(listing).split("\0")
    pairs = zip(words[::2], words[1::2], strict=False)
    return {path: _KINDS.get(letter, FileChangeKind.CHANGED) for letter, path in pairs}


def _counts(listing: bytes) -> dict[str, tuple[int | None, int | None]]:
    found: dict[str, tuple[int | None, int | None]] = {}
    for line in os.fsdecode(listing).split("\0"):
        added, _, rest = line.partition("\t")
        removed, _, path = rest.partition("\t")
        found[path] = (int(added), int(removed)) if added.isdigit() else (None, None)
    return found
