"""A folder of one's own: nothing is in it before, and nothing stays, even after a kill -9."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flowrun.envs.folders import make_private, remove
from flowrun.envs.workshop import abandoned, new_folder


@contextmanager
def own_place(folder: Path) -> Iterator[Path]:
    """Give an empty folder, removed at the end; also remove those that killed ones have left.

    Whoever works in a place holds a lock on it, which goes with the process. So any number of
    them work beside each other, and a place whose lock can be had belongs to nobody.

    Args:
        folder: where all places for the same purpose are.
    """
    make_private(folder)
    sweep(folder)
    place, descriptor = new_folder(folder)
    try:
        place.chmod(0o700)
        yield place
    finally:
        remove(place)
        os.close(descriptor)


def sweep(folder: Path) -> None:
    """Remove the places whose owners are gone."""
    for place in abandoned(folder):
        remove(place)
