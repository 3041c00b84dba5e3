"""Packages that lie in the project itself (`.`, `./pkg`, `-e .`): their digest and a copy to build.

A build may write into the tree it builds, and the project's folder is read-only; so it gets a copy.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

DESCRIPTIONS = ("pyproject.toml", "setup.cfg", "setup.py")
_NOT_SOURCE = {".git", ".hg", ".svn", "__pycache__", ".venv", ".mypy_cache", ".ruff_cache"}


def digest_tree(path: Path) -> str:
    """Return sha256 hex of a file, or of all names, contents and execute bits under a folder."""
    total = hashlib.sha256(b"tree/1\n")
    for name, file in _files(path):
        if file.is_symlink():
            kind, digest = "link", hashlib.sha256(str(file.readlink()).encode())
        else:
            kind = "program" if os.access(file, os.X_OK) else "file"
            with file.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256")
        total.update(f"{kind} {digest.hexdigest()} {name}\n".encode())
    return total.hexdigest()


def digest_description(path: Path) -> str:
    """Return sha256 hex of what says which packages a local package needs; of a file, of it all."""
    if path.is_file():
        return digest_tree(path)
    total = hashlib.sha256(b"description/1\n")
    for name in DESCRIPTIONS:
        file = path / name
        content = file.read_bytes() if file.is_file() else b""
        total.update(f"{name} {len(content)}\n".encode() + content)
    return total.hexdigest()


def copy_tree(path: Path, to: Path) -> None:
    """Copy a file into the new folder `to`, or what a folder has into it."""
    if path.is_dir():
        shutil.copytree(path, to, symlinks=True, ignore=shutil.ignore_patterns(*_NOT_SOURCE))
    else:
        to.mkdir(parents=True)
        shutil.copy(path, to / path.name)


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    """Yield relative name and path of each file, in one order on every machine."""
    if not path.is_dir():
        yield path.name, path
        return
    for folder, folders, files in os.walk(path):
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        folders[:] = sorted(name for name in folders if name not in _NOT_SOURCE)
        for name in sorted([*files, *links]):
            file = Path(folder) / name
            yield file.relative_to(path).as_posix(), file
