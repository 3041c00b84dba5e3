"""Removes what no run needs any more: environments, and what builders have left behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from flowrun.envs.disk import DiskUse
from flowrun.envs.exclusive import exclusive_now
from flowrun.envs.folders import remove
from flowrun.envs.kept import KeptEnv, KeptEnvs
from flowrun.envs.layout import ENVS, LOCKS, MEMOS, SCRATCH
from flowrun.envs.published import Published
from flowrun.envs.workshop import abandoned
from flowrun.valueclass import valueclass

_ARCHIVES = "conda/archives"


@valueclass
class Garbage:
    """What is removed, or would be."""

    envs: tuple[KeptEnv, ...]
    unfinished: tuple[Path, ...]
    """Folders of builds that were killed."""
    archives: tuple[Path, ...]
    """Packages in conda's cache that no build asked for since."""
    freed_bytes: int
    """What comes free on the disk by all of it; of images what their engine says."""


def collect(kept: KeptEnvs, root: Path, before_ms: int, *, is_dry_run: bool) -> Garbage:
    """Remove what nobody has used since a time, and nobody uses now.

    Args:
        kept: the store's environments.
        root: the store's folder.
        before_ms: milliseconds since the epoch.
        is_dry_run: tell only what would be removed.
    """
    total = DiskUse()
    envs = []
    for env in kept.all():
        if env.last_used_ms >= before_ms or not env.is_ours:
            continue
        with kept.claimed(env) as is_free:
            if is_free and (is_dry_run or kept.remove(env)):
                envs.append(env)
                total.add(env.disk)
    unfinished = []
    for folder in (*_unfinished(root), *abandoned(root / SCRATCH)):
        unfinished.append(folder)
        total.add(DiskUse.of([folder]))
        if not is_dry_run:
            remove(folder)
    archives = tuple(_old_archives(root / MEMOS / _ARCHIVES, before_ms))
    total.add(DiskUse.of(archives))
    for archive in archives if not is_dry_run else ():
        archive.unlink(missing_ok=True)
    return Garbage(tuple(envs), tuple(unfinished), archives, total.freed_bytes)


def _unfinished(root: Path) -> Iterator[Path]:
    """Yield the folders of killed builders; nobody builds one anew until the next."""
    published = Published(root / ENVS)
    for folder in published.unfinished():
        with ExitStack() as held:
            # named for the digest of its recipe, whose lock its builder holds
            locks = (root / LOCKS).glob(f"{folder.name.partition('-')[0]}*")
            are_free = all(held.enter_context(exclusive_now(lock)) for lock in locks)
            if are_free and folder in published.unfinished():  # not finished meanwhile
                yield folder


def _old_archives(folder: Path, before_ms: int) -> Iterator[Path]:
    for archive in sorted(folder.iterdir() if folder.exists() else ()):
        if archive.stat().st_mtime_ns // 1_000_000 < before_ms:
            yield archive
