"""Removes from flowrun's home what nobody needs any more: what was left, and old caches.

Each kind has a function that tells what there is and, unless it is a dry run, removes it. What goes
is first renamed into a folder that nobody looks into, so that a flowrun, or a kill -9 in the midst,
never meets half of anything.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from flowrun.engine.cache.memo import DigestMemo
from flowrun.engine.cleaning.in_use import alone_in
from flowrun.engine.record.live import holder_is_gone
from flowrun.engine.services import Home
from flowrun.engine.steps.light_client import current_folder
from flowrun.envs.collecting import collect
from flowrun.envs.disk import DiskUse
from flowrun.envs.exclusive import exclusive_now
from flowrun.envs.kept import KeptEnvs
from flowrun.envs.workshop import abandoned
from flowrun.sources.copies import remove
from flowrun.valueclass import valueclass

BUSY = "a flowrun is running"
_TRASH = "trash"
_GC_LOCK = "gc.lock"


@valueclass
class Pile:
    """Things of one kind that are removed, or would be."""

    what: str
    """In the plural."""
    count: int
    size_bytes: int
    note: str = ""
    """Why some, or all, were passed over."""


def collect_home(
    home: Home, variables: Mapping[str, str], before_ms: int, *, is_dry_run: bool
) -> list[Pile]:
    """Remove what can be removed from a home.

    Args:
        home: flowrun's folder, which is there; nothing outside of it is touched.
        variables: the caller's; they say where the container engine is.
        before_ms: what was used since this time stays, in milliseconds since the epoch. What killed
            flowruns have left goes at any age.
        is_dry_run: tell only what would be removed.
    """
    with exclusive_now(home.root / _GC_LOCK) as is_free:
        if not is_free:
            return [Pile("things in flowrun's home", 0, 0, "another flowrun gc is at work")]
        sweep = _Sweep(home.root / _TRASH, is_dry_run=is_dry_run)
        piles = [
            _pile("folders that killed flowruns left", sweep.take(_left(home))),
            *_environments(home, variables, before_ms, is_dry_run=is_dry_run),
            _digests(home, is_dry_run=is_dry_run),
            *_shared(home, sweep, before_ms),
        ]
        sweep.empty()
        return piles


@dataclass(slots=True)
class _Sweep:
    """Removes paths by way of the trash."""

    trash: Path
    is_dry_run: bool

    def take(self, paths: Iterable[Path]) -> list[Path]:
        """Throw paths away, and give where they are then; a dry run leaves them where they are."""
        if self.is_dry_run:
            return list(paths)
        return [thrown for path in paths if (thrown := self._throw_away(path))]

    def empty(self) -> None:
        """Remove what was thrown away."""
        if not self.is_dry_run:
            with suppress(PermissionError):  # what a container's root made stays in the trash
                remove(self.trash)

    def _throw_away(self, path: Path) -> Path | None:
        self.trash.mkdir(mode=0o700, exist_ok=True)
        thrown = self.trash / os.urandom(8).hex()
        with suppress(FileNotFoundError):  # its owner was quicker
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o700)  # a folder that can't be written can't be moved either
            try:
                path.rename(thrown)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                # The cache was moved to another disk: there is no trash there.
                _remove_in_place(path)
                return path
            return thrown
        return None


def _remove_in_place(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        remove(path)
    else:
        path.unlink()


def _pile(what: str, paths: Sequence[Path]) -> Pile:
    return Pile(what, len(paths), DiskUse.of(paths).freed_bytes)


def _shared(home: Home, sweep: _Sweep, before_ms: int) -> list[Pile]:
    """Remove what any flowrun may be about to open: only while there is none."""
    with alone_in(home.root) as is_alone:
        if not is_alone:
            return [Pile("sources, clients and locks", 0, 0, BUSY)]
        taken = {
            "trees and repositories of projects": sweep.take(_sources(home, before_ms)),
            "copies of the light client": sweep.take(_clients(home, before_ms)),
            "locks of steps": sweep.take(_files(home.steps)),
        }
    # Others need not wait until all is measured.
    return [_pile(what, paths) for what, paths in taken.items()]


def _digests(home: Home, *, is_dry_run: bool) -> Pile:
    with closing(DigestMemo(home.digests)) as memo:
        count, size_bytes = memo.forget_missing(is_dry_run=is_dry_run)
    return Pile("digests of files that are gone", count, size_bytes)


def _left(home: Home) -> Iterable[Path]:
    """Give the work of flowruns that are gone, and the places of verifications and servers."""
    for folder in _files(home.work):
        if holder_is_gone(home.live, folder.name):
            yield folder
    yield from abandoned(home.verifications)
    yield from abandoned(home.served)


def _environments(
    home: Home, variables: Mapping[str, str], before_ms: int, *, is_dry_run: bool
) -> list[Pile]:
    kept = KeptEnvs(home.envs, variables)
    found = collect(kept, home.envs, before_ms, is_dry_run=is_dry_run)
    count = len(found.envs) + len(found.unfinished) + len(found.archives)
    return [Pile("environments and builds", count, found.freed_bytes, kept.images_problem)]


def _sources(home: Home, before_ms: int) -> Iterable[Path]:
    for name in ("trees", "repositories", "packs"):
        yield from _unused(_files(home.sources / name), before_ms)
    yield from _files(home.sources / "tmp")


def _clients(home: Home, before_ms: int) -> Iterable[Path]:
    current = current_folder(home.client)
    return _unused((each for each in _files(home.client) if each != current), before_ms)


def _unused(paths: Iterable[Path], before_ms: int) -> Iterable[Path]:
    return (path for path in paths if path.lstat().st_mtime_ns // 1_000_000 < before_ms)


def _files(folder: Path) -> list[Path]:
    """Give what is in a folder that may not be there."""
    return sorted(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else []
