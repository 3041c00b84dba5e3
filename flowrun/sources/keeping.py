"""What is kept of a tree that its repository alone can't give back.

A clean checkout's tree is its commit's, and the commit is at the repository's URL, once it was
pushed. For everything else (changed files, no commit, no remote, a zip file) a git pack of what is
missing is kept with the run: on another machine, years later, commit and pack make the same tree,
and git's own ids prove it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from flowrun.sources.cache import SourceCache
from flowrun.sources.checkout import find_checkout
from flowrun.sources.copies import remove
from flowrun.sources.git import GitFailedError
from flowrun.sources.source import Source, SourceKind

LIMIT_BYTES = 64 << 20
"""A larger pack is not kept: who keeps data in a project without git has it elsewhere too."""
_SWEPT_AFTER_S = 86_400
_CHUNK_BYTES = 1 << 20


def kept_pack(source: Source, cache: SourceCache) -> Path | None:
    """Give a pack with what nobody else may have of a source's tree.

    Returns:
        A file of the cache's; None if the repository has everything, or the pack is too large.
    """
    if source.kind is SourceKind.GIT:
        return None
    base = source.commit if _is_elsewhere(source, cache) else None
    if base is not None and not source.is_dirty:
        return None
    file = cache.folder("packs") / f"{source.tree}-{base or 'whole'}.pack"
    if not file.exists():
        _make(source, base, file, cache)
    return file if file.stat().st_size else None


def _is_elsewhere(source: Source, cache: SourceCache) -> bool:
    """Whether the commit was seen on a remote, as far as the checkout knows."""
    if source.commit is None or source.repo_url is None:
        return False
    seen = cache.folder("pushed") / source.commit
    if seen.exists():
        return True
    if source.directory is None or not source.directory.is_dir():
        return True  # restored from a record: it was there when it was recorded
    asked = ("for-each-ref", "--count=1", "--contains", source.commit, "refs/remotes")
    if not cache.git.inside(source.directory).asked(*asked):
        return False
    seen.touch()  # what was pushed stays so: asked once for each commit
    return True


def _make(source: Source, base: str | None, file: Path, cache: SourceCache) -> None:
    _sweep(file.parent)
    scratch = cache.scratch()
    try:
        made = scratch / "pack"
        try:
            _write(source, base, scratch, made, cache)
        except GitFailedError:
            if base is None:
                raise
            _write(source, None, scratch, made, cache)  # the commit is not here any more
        made.replace(file)
    finally:
        remove(scratch)


def _write(source: Source, base: str | None, scratch: Path, made: Path, cache: SourceCache) -> None:
    """Write the pack; an empty file stands for one that is too large."""
    borrowed = None
    if base and source.directory is not None and source.directory.is_dir():
        checkout = find_checkout(cache.git, source.directory)
        borrowed = checkout.objects if checkout else None
    wanted = scratch / "wanted"
    wanted.write_text(source.tree + (f"\n^{base}^{{tree}}\n" if base else "\n"), encoding="ascii")
    git = cache.git.on(source.repository, borrowed=borrowed)
    options = ("--revs", "--stdout", "--quiet", "--delta-base-offset")
    size_bytes = 0
    with (
        wanted.open("rb") as stdin,
        made.open("wb") as target,
        git.reading("pack-objects", *options, stdin=stdin) as stream,
    ):
        while data := stream.read(_CHUNK_BYTES):
            size_bytes += len(data)
            if size_bytes > LIMIT_BYTES:
                target.truncate(0)
                return
            target.write(data)


def _sweep(folder: Path) -> None:
    """Remove what is older than a day: each run has its own copy."""
    for path in _files(folder):
        if path.stat().st_mtime < time.time() - _SWEPT_AFTER_S:
            path.unlink(missing_ok=True)


def _files(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as found:
        yield from (Path(each.path) for each in found if each.is_file(follow_symlinks=False))
