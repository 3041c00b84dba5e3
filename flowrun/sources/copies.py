"""Trees as files: a shared copy of each, checked before use, and working copies of that."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from flowrun.errors import SourceError, StoreError
from flowrun.sources.repository import EXECUTABLE, LINK
from flowrun.valueclass import valueclass

FORMAT = "tree/1"
_CHUNK_BYTES = 1 << 20


@valueclass
class CopiedFile:
    """A file or link of a shared copy, with what `lstat` said when it was made."""

    path: str
    mode: str
    size_bytes: int
    changed_ns: int
    """The inode's change time, which no program can set: a changed file shows."""


@valueclass
class SharedCopy:
    """A tree's files, read-only, used by all runs of this user."""

    files: Path
    entries: Mapping[str, CopiedFile]
    """By path."""
    folders: tuple[str, ...]
    """Relative, each after the one it lies in."""

    def write_out(self, into: Path, only: Iterable[str] | None = None) -> bool:
        """Copy files to a folder that must not exist or be empty; False if the copy was hurt.

        Each file is compared with its record while it is open for copying, so what is written is
        what was published. On any failure nothing is left behind.

        Args:
            into: the folder.
            only: the paths of those to copy; None: all of them.
        """
        into.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.scandir(into) as found:
            if next(found, None) is not None:
                raise SourceError(f"{into}: can't write the project's files here, it is not empty")
        try:
            if self._copy(str(self.files), str(into), only):
                return True
        except FileNotFoundError:
            pass
        except OSError as error:
            shutil.rmtree(into, ignore_errors=True)
            raise unwritable(into, error) from error
        shutil.rmtree(into, ignore_errors=True)
        return False

    def _copy(self, start: str, into: str, only: Iterable[str] | None) -> bool:
        folders = self.folders
        entries = [self.entries[path] for path in (self.entries if only is None else only)]
        if only is not None:
            needed = {parent for entry in entries for parent in _parents(entry.path)}
            folders = tuple(folder for folder in folders if folder in needed)
        for folder in folders:
            os.mkdir(f"{into}/{folder}")  # noqa: PTH102 - a Path a file doubles the time of it all
        for entry in entries:
            if entry.mode == LINK:
                os.symlink(os.readlink(f"{start}/{entry.path}"), f"{into}/{entry.path}")  # noqa: PTH211, PTH115 - as above
            elif not _copy_file(f"{start}/{entry.path}", f"{into}/{entry.path}", entry):
                return False
        return True

    def is_intact(self) -> bool:
        """Whether the files are exactly those that were published, by a look at each inode."""
        recorded = {each.path: (each.size_bytes, each.changed_ns) for each in self.entries.values()}
        return recorded == dict(_inodes(str(self.files), ""))


def _parents(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def read_copy(folder: Path) -> SharedCopy | None:
    """The shared copy in this folder; None if there is none, or none that can be trusted."""
    try:
        with (folder / "manifest.json").open(encoding="utf-8") as file:
            manifest = json.load(file)
        if manifest["format"] != FORMAT:
            return None
        entries = {row[0]: CopiedFile(*row) for row in manifest["entries"]}
        copy = SharedCopy(folder / "files", entries, tuple(manifest["folders"]))
        return copy if copy.is_intact() else None
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        return None


def remove(folder: Path) -> None:
    """Remove a folder with everything in it, read-only folders too."""
    for found, _, _ in os.walk(folder):
        Path(found).chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


def unwritable(path: Path, error: OSError) -> StoreError:
    """What to tell of a file that could not be written."""
    hint = None
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        hint = "Make room there, or let flowrun keep its cache elsewhere."
    return StoreError(f"{path}: can't write the project's files: {error.strerror}", hint)


def _inodes(start: str, below: str) -> Iterator[tuple[str, tuple[int, int]]]:
    with os.scandir(f"{start}/{below}") as found:
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                yield from _inodes(start, f"{below}{entry.name}/")
            else:
                seen = entry.stat(follow_symlinks=False)
                yield f"{below}{entry.name}", (seen.st_size, seen.st_ctime_ns)


def _copy_file(source: str, target: str, entry: CopiedFile) -> bool:
    """Copy one file, as a clone where the file system can; False if it is not as recorded."""
    mode = 0o777 if entry.mode == EXECUTABLE else 0o666
    reader = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        seen = os.fstat(reader)
        if (seen.st_size, seen.st_ctime_ns) != (entry.size_bytes, entry.changed_ns):
            return False
        writer = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            _copy_bytes(reader, writer, entry.size_bytes)
        finally:
            os.close(writer)
    finally:
        os.close(reader)
    return True


def _copy_bytes(reader: int, writer: int, size_bytes: int) -> None:
    """In the kernel if it can between these two file systems, else by hand."""
    left = size_bytes
    with suppress(OSError):
        while left and (copied := os.copy_file_range(reader, writer, left)):
            left -= copied
    if left:
        os.lseek(reader, size_bytes - left, os.SEEK_SET)
        os.lseek(writer, size_bytes - left, os.SEEK_SET)
        while data := os.read(reader, _CHUNK_BYTES):
            while data:
                data = data[os.write(writer, data) :]
