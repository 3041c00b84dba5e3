"""The place where one environment is resolved and built: a scratch folder, a log, its processes."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from flowrun.envs.base import Progress
from flowrun.envs.folders import remove
from flowrun.envs.process import Running


class Workshop:
    """One build's scratch folder and processes. Both are gone when it closes."""

    def __init__(
        self, folder: Path, log: Path, progress: Progress, is_cancelled: Callable[[], bool]
    ) -> None:
        self.folder = folder
        """Empty at first, on the same file system as the built environments."""
        self.log = log
        self.progress = progress
        self.is_cancelled = is_cancelled
        self._running: list[Running] = []

    def start(
        self, argv: Sequence[str | Path], variables: Mapping[str, str], *, what: str
    ) -> Running:
        """Start a command in the scratch folder; what it prints goes to the log."""
        running = Running(
            argv,
            variables,
            directory=self.folder,
            log=self.log,
            what=what,
            is_cancelled=self.is_cancelled,
        )
        self._running.append(running)
        return running

    def run(self, argv: Sequence[str | Path], variables: Mapping[str, str], *, what: str) -> None:
        """Run a command to its end.

        Raises:
            CommandFailedError: it did not exit with 0. CancelledError: it was ended.
        """
        self.start(argv, variables, what=what).wait()

    def close(self) -> None:
        """End what still runs."""
        for running in self._running:
            running.stop()


@contextlib.contextmanager
def opened(
    scratch: Path, log: Path, progress: Progress, is_cancelled: Callable[[], bool]
) -> Iterator[Workshop]:
    """Give a workshop in a new folder under `scratch`, and sweep up what killed ones left there.

    A workshop holds a lock on its folder for as long as its process lives, so a folder whose lock
    can be had belongs to nobody.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    _sweep(scratch)
    folder = scratch / os.urandom(6).hex()
    folder.mkdir()
    descriptor = os.open(folder, os.O_RDONLY)
    shop = None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        shop = Workshop(folder, log, progress, is_cancelled)
        yield shop
    finally:
        if shop is not None:
            shop.close()
        remove(folder)
        os.close(descriptor)


def _sweep(scratch: Path) -> None:
    for folder in scratch.iterdir():
        try:
            descriptor = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove(folder)
        except BlockingIOError:
            pass
        finally:
            os.close(descriptor)
