"""A control group with little memory, in which a whole flowrun is started."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

CGROUPS = Path("/sys/fs/cgroup")


@contextmanager
def small_memory(limit_bytes: int) -> Iterator[Path]:
    """Give the file that takes the processes of a new group with at most so much memory."""
    version_1 = CGROUPS / "memory"
    root, limit = (
        (version_1, "memory.limit_in_bytes") if version_1.is_dir() else (CGROUPS, "memory.max")
    )
    group = root / f"flowrun-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / limit).write_text(str(limit_bytes))
    except OSError as error:
        with suppress(OSError):
            group.rmdir()
        pytest.skip(f"no control group with a limit can be made here: {error}")
    try:
        yield group / "cgroup.procs"
    finally:
        group.rmdir()
