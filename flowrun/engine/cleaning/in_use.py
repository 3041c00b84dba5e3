"""Who uses flowrun's home: everybody holds one lock together, and whoever cleans holds it alone.

The kernel gives the lock back however its holder ends. With it nobody has to know of each file of a
cache whether some process is about to open it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


@lru_cache(maxsize=8)
def use_home(root: Path) -> int:
    """Hold the lock with others until this process ends; wait while somebody cleans.

    Args:
        root: a home that exists.

    Returns:
        The lock's descriptor.
    """
    descriptor = os.open(_lock_file(root), _FLAGS, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


@contextmanager
def alone_in(root: Path) -> Iterator[bool]:
    """Keep others from using the home for a moment; give whether nobody uses it now."""
    descriptor = os.open(_lock_file(root), _FLAGS, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(descriptor)


def _lock_file(root: Path) -> Path:
    return root / "in-use"
