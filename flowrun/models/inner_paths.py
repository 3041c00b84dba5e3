"""Paths in a model's folder, as its MLmodel file names them: never any that lead out of it."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

from flowrun.errors import InvalidValueError

_MOST_FILES = 100_000
_BIG_BYTES = 1 << 30
_MOST_TIMES = 200
"""What is packed more tightly than this, and big, was made to fill a disk or a memory: weights
hardly shrink at all, trees and texts by ten times."""


def inside(folder: Path, name: object) -> Path:
    """Give the path of something in a model's folder.

    Raises:
        InvalidValueError: the name leads out of it, or what is there does (a link in a folder), or
            nothing is there.
    """
    try:
        # By os.path: pathlib takes three times as long, and loading a small model 4 ms in all.
        root = os.path.realpath(folder)
        found = os.path.realpath(f"{root}/{name}" if str(name)[:1] != "/" else str(name))
        is_inside = found == root or found.startswith(f"{root}/")
        if not isinstance(name, str) or not is_inside:
            raise InvalidValueError(
                f"{folder / 'MLmodel'} names a path outside of the model: {name!r:.200}"
            )
        path = Path(found)
        if not path.exists():
            raise InvalidValueError(f"the model in {folder} is damaged: '{name}' is gone")
    except (OSError, ValueError) as error:  # too long, a NUL
        raise InvalidValueError(
            f"{folder / 'MLmodel'} names no path: {name!r:.100}: {error!s:.100}"
        ) from error
    if path.is_dir():
        _check_links(path, Path(root))
    elif not path.is_file():
        raise InvalidValueError(f"{path} is neither a file nor a folder")
    return path


def check_archive(path: Path) -> None:
    """Refuse a zip file that becomes far larger when it is read; other files are let through.

    Raises:
        InvalidValueError: it is such a file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return  # whoever reads it says what is wrong
    size = sum(member.file_size for member in members)
    if len(members) > _MOST_FILES or size > max(_BIG_BYTES, _MOST_TIMES * path.stat().st_size):
        raise InvalidValueError(
            f"{path} would become {size / 2**30:.1f} GiB in {len(members)} files: far too much"
        )


def _check_links(path: Path, root: Path) -> None:
    for number, each in enumerate(path.rglob("*")):
        if number > _MOST_FILES:
            raise InvalidValueError(f"{path} holds more than {_MOST_FILES} files")
        if each.is_symlink() and root not in each.resolve().parents:
            raise InvalidValueError(f"{each} is a link that leads out of the model")
