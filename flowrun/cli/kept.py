"""A secret of flowrun's own in a file: made at first use, readable by its owner only."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from flowrun.errors import StoreError


def kept_text(path: Path, make: Callable[[], str]) -> tuple[str, bool]:
    """Give the one line of a file, and whether it was made just now.

    Args:
        path: the file; its folder is made too.
        make: gives the line if there is no file yet.
    """
    building = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        if path.exists():
            return _read(path), False
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(building, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(make() + "\n")
            # Appears whole or not at all: another process may be here too, and one of them wins.
            os.link(building, path)
        except FileExistsError:
            return _read(path), False
        finally:
            building.unlink()
        return _read(path), True
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error


def _read(path: Path) -> str:
    return path.read_text(encoding="ascii").strip()
