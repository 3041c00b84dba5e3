"""What folders take on the disk, and what comes free when they go: hard links counted once."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

_BLOCK_BYTES = 512
"""Of `st_blocks`, whatever the file system's own blocks are."""


@dataclass(slots=True)
class _Linked:
    """A file that has several names."""

    size_bytes: int
    links: int
    """Its names on the whole disk."""
    seen: int
    """Those that were met."""


@dataclass(slots=True)
class DiskUse:
    """The sum of some folders and files."""

    _own_bytes: int = 0
    _linked: dict[tuple[int, int], _Linked] = field(default_factory=dict)

    @classmethod
    def of(cls, paths: Iterable[Path]) -> DiskUse:
        """Return what folders, with all below them, and files take."""
        use = cls()
        for path in paths:
            use._add(path)
        return use

    @classmethod
    def of_bytes(cls, size_bytes: int) -> DiskUse:
        """Return what is kept elsewhere, and was measured there."""
        return cls(size_bytes)

    @property
    def size_bytes(self) -> int:
        """What they take, each file once."""
        return self._own_bytes + sum(each.size_bytes for each in self._linked.values())

    @property
    def freed_bytes(self) -> int:
        """What comes free when all of them are removed: not what has a name elsewhere as well."""
        gone = (each.size_bytes for each in self._linked.values() if each.seen == each.links)
        return self._own_bytes + sum(gone)

    def add(self, other: DiskUse) -> None:
        """Add other folders, none of which is in here."""
        self._own_bytes += other._own_bytes
        for inode, linked in other._linked.items():
            known = self._linked.setdefault(inode, _Linked(linked.size_bytes, linked.links, 0))
            known.seen += linked.seen

    def _add(self, path: Path) -> None:
        try:
            self._count(path.lstat())
            if path.is_dir() and not path.is_symlink():
                self._add_folder(str(path))
        except FileNotFoundError:
            return  # removed meanwhile

    def _add_folder(self, folder: str) -> None:
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    self._count(entry.stat(follow_symlinks=False))
                    if entry.is_dir(follow_symlinks=False):
                        self._add_folder(entry.path)
        except FileNotFoundError:
            return

    def _count(self, found: os.stat_result) -> None:
        size_bytes = found.st_blocks * _BLOCK_BYTES
        if found.st_nlink == 1 or not stat.S_ISREG(found.st_mode):
            self._own_bytes += size_bytes
        else:
            new = _Linked(size_bytes, found.st_nlink, 0)
            self._linked.setdefault((found.st_dev, found.st_ino), new).seen += 1
