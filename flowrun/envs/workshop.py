"""Where one environment is resolved and built: a scratch folder, a log, processes, threads."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from flowrun.envs.base import Progress
from flowrun.envs.folders import remove
from flowrun.envs.process import Running
from flowrun.errors import CancelledError


class Meanwhile:
    """Work that goes on in a thread of its own."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="flowrun-env")
        self._thread.start()

    def join(self) -> None:
        """Wait for its end, however it ends."""
        self._thread.join()

    def wait(self) -> None:
        """Wait for its end; raise what it raised."""
        self.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - kept for the thread that waits
            self._error = error


class Workshop:
    """One build's scratch folder, processes and threads. All are gone when it closes."""

    def __init__(
        self,
        folder: Path,
        prefix: Path,
        log: Path,
        progress: Progress,
        is_cancelled: Callable[[], bool],
    ) -> None:
        self.folder = folder
        """Empty at first, on the same file system as the built environments."""
        self.prefix = prefix
        """Where the environment will be, for good; not there yet."""
        self.log = log
        self.progress = progress
        self.is_cancelled = is_cancelled
        self._lock = threading.Lock()
        self._is_closed = False
        self._running: list[Running] = []
        self._meanwhile: list[Meanwhile] = []

    def start(
        self, argv: Sequence[str | Path], variables: Mapping[str, str], *, what: str
    ) -> Running:
        """Start a command in the scratch folder; what it prints goes to the log."""
        with self._lock:
            if self._is_closed:
                raise CancelledError(f"cancelled before {what}")
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

    def meanwhile(self, work: Callable[[], None]) -> Meanwhile:
        """Let a thread do some work; if nobody waits for it, what it raises is lost."""
        begun = Meanwhile(work)
        self._meanwhile.append(begun)
        return begun

    def close(self) -> None:
        """End what still runs."""
        with self._lock:
            self._is_closed = True
        for running in self._running:
            running.stop()
        for begun in self._meanwhile:
            begun.join()


@contextlib.contextmanager
def opened(
    scratch: Path,
    prefix: Path,
    log: Path,
    progress: Progress,
    is_cancelled: Callable[[], bool],
) -> Iterator[Workshop]:
    """Give a workshop in a new folder under `scratch`, and sweep up what killed ones left there.

    A workshop holds a lock on its folder for as long as its process lives, so a folder whose lock
    can be had belongs to nobody.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    for left in abandoned(scratch):
        remove(left)
    folder, descriptor = new_folder(scratch)
    shop = None
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        shop = Workshop(folder, prefix, log, progress, is_cancelled)
        yield shop
    finally:
        if shop is not None:
            shop.close()
        remove(folder)
        os.close(descriptor)


def new_folder(scratch: Path) -> tuple[Path, int]:
    """Make a folder of this process's own; give it with the descriptor that holds its lock."""
    while True:
        folder = scratch / os.urandom(6).hex()
        folder.mkdir()
        try:
            descriptor = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:
            continue
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        # Until it was locked it looked abandoned, and somebody may have swept it up.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), folder.stat()):
                return folder, descriptor
        os.close(descriptor)


def abandoned(scratch: Path) -> Iterator[Path]:
    """Yield the workshops that were left by killed builders; each is nobody's until the next."""
    for folder in sorted(scratch.iterdir() if scratch.exists() else ()):
        try:
            descriptor = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield folder
        except BlockingIOError:
            pass
        finally:
            os.close(descriptor)
