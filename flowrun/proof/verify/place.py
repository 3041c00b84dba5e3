"""A verification's own place for environments: nothing built before is in it, nothing stays."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flowrun.envs.folders import make_private, remove


@contextmanager
def own_place(folder: Path) -> Iterator[Path]:
    """Give an empty folder, removed at the end; also remove those that killed ones have left.

    Whoever works in a place holds a lock on it, which goes with the process. So any number of
    verifications work beside each other, and a place whose lock can be had belongs to nobody.

    Args:
        folder: where the places of all verifications of this user are.
    """
    make_private(folder)
    sweep(folder)
    place = folder / os.urandom(6).hex()
    place.mkdir(mode=0o700)
    descriptor = os.open(place, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield place
    finally:
        remove(place)
        os.close(descriptor)


def sweep(folder: Path) -> None:
    """Remove the places whose owners are gone."""
    for place in folder.iterdir() if folder.is_dir() else ():
        try:
            descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove(place)
        except BlockingIOError:
            pass
        finally:
            os.close(descriptor)
