"""Making the shared copy of a tree: every name, link and byte of it is checked on the way."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from flowrun.errors import SourceError, StoreError
from flowrun.sources.copies import FORMAT, remove, unwritable
from flowrun.sources.repository import EXECUTABLE, LINK, Repository, TreeEntry

_CHUNK_BYTES = 1 << 20
_REFUSED_NAMES = frozenset({"", ".", "..", ".git"})


def publish_copy(repository: Repository, tree: str, folder: Path, scratch: Path) -> None:
    """Make the shared copy of a tree: built aside, checked, then renamed into place.

    Args:
        repository: holds the tree.
        tree: its id; no submodules in it.
        folder: where the copy goes; what is there is replaced.
        scratch: a fresh empty folder on the same file system, used up.

    Raises:
        SourceError: the tree has a name, link or entry that can't be written out safely.
        StoreError: there is no room, or no right, to write it.
    """
    entries = repository.entries(tree)
    folders = _checked_folders(entries)
    files = scratch / "files"
    try:
        files.mkdir()
        for name in folders:
            (files / name).mkdir()
        _write_files(repository, entries, scratch)
        _write_links(repository, entries, scratch)
        manifest = {"format": FORMAT, "folders": folders, "entries": _seal(files, entries)}
        (scratch / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        _replace(scratch, folder)
    except OSError as error:
        raise unwritable(folder, error) from error


def _checked_folders(entries: list[TreeEntry]) -> list[str]:
    """The folders that the entries lie in; no name may lead out of the tree or into git's own."""
    folders: dict[str, None] = {}
    for entry in entries:
        names = entry.path.split("/")
        if any(name.lower() in _REFUSED_NAMES for name in names):
            raise SourceError(
                f"git: the tree has an entry {entry.path!r}, which can't be a file of a project"
            )
        for depth in range(1, len(names)):
            folders["/".join(names[:depth])] = None
    return list(folders)


def _write_files(repository: Repository, entries: list[TreeEntry], scratch: Path) -> None:
    wanted = [entry for entry in entries if entry.mode != LINK]
    for entry, size_bytes, stream in _objects(repository, wanted, scratch):
        with (scratch / "files" / entry.path).open("xb") as file:
            _copy_verified(stream, size_bytes, entry.oid, file.write)


def _write_links(repository: Repository, entries: list[TreeEntry], scratch: Path) -> None:
    """Links come after all files, so that no file is ever written through one."""
    links = [entry for entry in entries if entry.mode == LINK]
    root = os.path.realpath(scratch / "files")
    for entry, size_bytes, stream in _objects(repository, links, scratch):
        target: list[bytes] = []
        _copy_verified(stream, size_bytes, entry.oid, target.append)
        (scratch / "files" / entry.path).symlink_to(os.fsdecode(b"".join(target)))
    for entry in links:
        link = scratch / "files" / entry.path
        found = os.path.realpath(link)
        if link.readlink().is_absolute() or not f"{found}/".startswith(f"{root}/"):
            raise SourceError(
                f"{entry.path}: this symbolic link leads out of the project, to "
                f"{os.fspath(link.readlink())!r}",
                "A step's code is an exact tree, which holds no files of this machine. Ignore the "
                "link (.gitignore) and pass what it leads to as a parameter of type path.",
            )


def _objects(
    repository: Repository, entries: list[TreeEntry], scratch: Path
) -> Iterator[tuple[TreeEntry, int, IO[bytes]]]:
    """Each entry with the length of its content and the stream to read exactly that much from."""
    if not entries:
        return
    with repository.contents([entry.oid for entry in entries], scratch / "wanted") as stream:
        for entry in entries:
            header = stream.readline().split()
            if len(header) != 3 or header[1] != b"blob":
                raise StoreError(
                    f"{repository.path}: object {entry.oid} of {entry.path} is missing or damaged",
                    "Remove this repository; flowrun fetches it again.",
                )
            yield entry, int(header[2]), stream
            stream.read(1)
    (scratch / "wanted").unlink()


def _copy_verified(
    stream: IO[bytes], size_bytes: int, oid: str, write: Callable[[bytes], object]
) -> None:
    digest = hashlib.new("sha1" if len(oid) == 40 else "sha256", usedforsecurity=False)
    digest.update(b"blob %d\0" % size_bytes)
    while size_bytes:
        data = stream.read(min(size_bytes, _CHUNK_BYTES))
        if not data:
            break
        digest.update(data)
        write(data)
        size_bytes -= len(data)
    if digest.hexdigest() != oid:
        raise StoreError(f"git: object {oid} in flowrun's cache is damaged")


def _seal(files: Path, entries: list[TreeEntry]) -> list[tuple[str, str, int, int]]:
    """Make everything read-only and record how it is now."""
    rows = []
    for entry in entries:
        path = files / entry.path
        if entry.mode != LINK:
            path.chmod(0o500 if entry.mode == EXECUTABLE else 0o400)
        seen = path.lstat()
        rows.append((entry.path, entry.mode, seen.st_size, seen.st_ctime_ns))
    for found, _, _ in os.walk(files):
        Path(found).chmod(0o500)
    return rows


def _replace(made: Path, folder: Path) -> None:
    """Rename into place; what was there (damaged, or its maker was killed) goes first."""
    if folder.exists():
        bad = made.with_name(f"{made.name}.bad")
        folder.rename(bad)
        remove(bad)
    made.rename(folder)
