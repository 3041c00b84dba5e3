"""Puts a file or folder in its place at once: whole, or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from flowrun.errors import AlreadyExistsError, StoreError

_HINT = "Give --force to replace it."


@contextmanager
def new_file(target: Path, *, replace: bool) -> Iterator[BinaryIO]:
    """Give a file to write, which becomes `target` at the end of the block.

    Raises:
        AlreadyExistsError: there is something, and it is not to be replaced, or a folder.
        StoreError: it can't be written there.
    """
    _check(target, replace=replace and not target.is_dir())
    with _plain_errors(target):
        unfinished = _folder_of(target) / f".{target.name}.{os.urandom(6).hex()}"
        try:
            with unfinished.open("xb") as file:
                yield file
            unfinished.replace(target)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise


@contextmanager
def new_folder(target: Path, *, replace: bool, mark: str) -> Iterator[Path]:
    """Give a folder to fill, which becomes `target` at the end of the block.

    Args:
        target: where it goes.
        replace: take the place of a folder that is there, if it holds a file called `mark`.
        mark: what shows that a folder is of the same kind, and not somebody's home.

    Raises:
        AlreadyExistsError: there is something that is not to be replaced.
        StoreError: it can't be written there.
    """
    is_empty = target.is_dir() and not target.is_symlink() and not any(target.iterdir())
    if not is_empty:
        _check(target, replace=replace and (target / mark).is_file() and not target.is_symlink())
    with _plain_errors(target):
        unfinished = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=_folder_of(target)))
        try:
            filled = unfinished / "new"
            filled.mkdir()
            yield filled
            if target.exists():
                target.rename(unfinished / "old")
            filled.rename(target)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)


def _check(target: Path, *, replace: bool) -> None:
    if os.path.lexists(target) and not replace:
        if target.is_dir():
            raise AlreadyExistsError(f"{target} exists", "Name one that is new, or remove it.")
        raise AlreadyExistsError(f"{target} exists", _HINT)


def _folder_of(target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    return target.parent


@contextmanager
def _plain_errors(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"{target}: {error.strerror or error}") from error
