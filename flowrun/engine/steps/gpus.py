"""Which of the machine's GPUs each running step has: no two that ask for some get the same."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

VISIBLE = "CUDA_VISIBLE_DEVICES"
"""CUDA's own variable: which devices a process sees. The caller's says which flowrun may give."""
_DEVICE = re.compile(r"nvidia(\d+)")


def gpus_of(variables: Mapping[str, str]) -> tuple[str, ...]:
    """Give the GPUs that a process with these variables may use, as `CUDA_VISIBLE_DEVICES` does.

    NVIDIA's alone: their driver makes a device for each. None where there is no such driver.
    """
    with os.scandir("/dev") as entries:
        devices = [found for each in entries if (found := _DEVICE.fullmatch(each.name))]
    numbers = sorted(int(found[1]) for found in devices)
    if VISIBLE not in variables or not numbers:
        return tuple(map(str, numbers))
    return tuple(name for each in variables[VISIBLE].split(",") if (name := each.strip()))


class Gpus:
    """Those that are free; the schedule sees to it that there are enough. Used by any thread."""

    def __init__(self, names: Sequence[str]) -> None:
        """Begin with all of them free."""
        self._free = list(names)
        self._all = tuple(names)
        self._lock = threading.Lock()

    @contextmanager
    def taken(self, count: int) -> Iterator[tuple[str, ...]]:
        """Give some of them until the end of the block: all, where more are asked for."""
        with self._lock:
            names, self._free = self._free[:count], self._free[count:]
        try:
            yield tuple(names)
        finally:
            with self._lock:
                self._free = sorted([*self._free, *names], key=self._all.index)


def visible(names: Sequence[str], own: Mapping[str, object]) -> dict[str, str]:
    """Give the variable that shows a step its GPUs, unless it says itself what it wants to see."""
    return {VISIBLE: ",".join(names)} if names and VISIBLE not in own else {}
