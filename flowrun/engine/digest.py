"""Digests of files and directories: what identifies an input or an output.

A file's digest is the sha256 of its bytes. A directory's is the sha256 of a list with one line for
each file below it, ordered by path: kind, digest and path. Names and contents count, times and
owners do not; a symbolic link counts by where it points.
"""

from __future__ import annotations

import hashlib
import os
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
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Digest(digest, os.fstat(file.fileno()).st_size, is_directory=False)


def _digest_directory(root: Path) -> Digest:
    lines: list[str] = []
    size_bytes = 0
    for folder, folders, files in os.walk(root):
        folders.sort()
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        for name in sorted([*files, *links]):
            path = Path(folder) / name
            shown = path.relative_to(root).as_posix()
            if path.is_symlink():
                target = hashlib.sha256(os.fsencode(path.readlink())).hexdigest()
                lines.append(f"link {target} {shown}")
            else:
                content = digest_of(path)
                size_bytes += content.size_bytes
                lines.append(f"file {content.sha256} {shown}")
    lines.sort(key=lambda line: line.split(" ", 2)[2])
    text = "\n".join(["directory/1", *lines]).encode("utf-8", "surrogateescape")
    return Digest(hashlib.sha256(text).hexdigest(), size_bytes, is_directory=True)
