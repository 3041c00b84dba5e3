"""One builder at a time: a file lock that its holder's death frees."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from flowrun.errors import CancelledError

_LOOK_EVERY_S = 0.05


@contextlib.contextmanager
def exclusive(
    file: Path,
    on_wait: Callable[[], None],
    is_cancelled: Callable[[], bool],
    what: str = "built its environment",
) -> Iterator[None]:
    """Hold the lock `file`, against other processes and other threads of this one.

    The kernel gives the lock back when its holder ends, however it ends, so nothing is ever left
    to clear by hand. The file itself stays: to remove it would let two holders in.

    Args:
        on_wait: called once if somebody else holds it now.
        is_cancelled: asked while somebody else holds it.
        what: what the other flowrun does meanwhile, for people.

    Raises:
        CancelledError: `is_cancelled` said yes.
    """
    descriptor = _opened(file)
    try:
        if not _taken(descriptor):
            on_wait()
            # Looks again and again, since a thread that waits in flock itself can't be called back.
            pause = threading.Event()
            while not _taken(descriptor):
                if is_cancelled():
                    raise CancelledError(f"cancelled while another flowrun {what}")
                pause.wait(_LOOK_EVERY_S)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def exclusive_now(file: Path) -> Iterator[bool]:
    """Hold the lock `file` if nobody else does; give whether it is held."""
    descriptor = _opened(file)
    try:
        yield _taken(descriptor)
    finally:
        os.close(descriptor)


def _opened(file: Path) -> int:
    file.parent.mkdir(parents=True, exist_ok=True)
    return os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
