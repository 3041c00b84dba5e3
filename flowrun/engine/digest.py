"""Digests of files and directories: what identifies an input or an output.

A file's digest is the sha256 of its bytes. A directory's is the sha256 of a list with one line for
each file below it, ordered by path: kind, digest and path. Names and contents count; times, owners
and empty folders do not. A symbolic link is what it leads to, as for whoever reads it and for the
copy that artifacts keep; one that leads nowhere or in a circle counts by what it says.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Digest:
    """A content's digest with its size."""

    sha256: str
    """64 hex digits."""
    size_bytes: int
    is_directory: bool


def digest_of(path: Path) -> Digest:
    """Digest a file or a directory. Raises OSError, also for a thing that is neither."""
    if path.is_dir():
        return _digest_directory(path)
    # Looked at before it is opened: to open a pipe is to wait for whoever writes to it.
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "is neither a file nor a directory", str(path))
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Digest(digest, os.fstat(file.fileno()).st_size, is_directory=False)


def _digest_directory(root: Path) -> Digest:
    lines: list[tuple[str, str]] = []
    size_bytes = 0
    waiting = [(root, "", frozenset({os.path.realpath(root)}))]
    while waiting:
        folder, prefix, above = waiting.pop()
        for entry in os.scandir(folder):
            place, shown = Path(entry.path), prefix + entry.name
            if place.is_dir() and (inside := os.path.realpath(place)) not in above:
                waiting.append((place, f"{shown}/", above | {inside}))
            elif place.is_file():
                content = digest_of(place)
                size_bytes += content.size_bytes
                lines.append((shown, f"file {content.sha256} {shown}"))
            else:
                says = os.readlink(place) if entry.is_symlink() else ""  # noqa: PTH115 - as it is
                lines.append(
                    (shown, f"other {hashlib.sha256(os.fsencode(says)).hexdigest()} {shown}")
                )
    return Digest(_digest_lines(lines), size_bytes, is_directory=True)


def directory_sha256(files: Mapping[str, str]) -> str:
    """Give the digest of a directory that holds files of these paths and digests, and no more."""
    return _digest_lines([(path, f"file {sha256} {path}") for path, sha256 in files.items()])


def _digest_lines(lines: Sequence[tuple[str, str]]) -> str:
    """Digest lines in the order of the paths they are for."""
    # Ended by NUL, which no name can hold, as a name may hold what looks like the next line.
    listed = "\0".join(["directory/1", *(line for _, line in sorted(lines))])
    return hashlib.sha256(os.fsencode(listed)).hexdigest()
