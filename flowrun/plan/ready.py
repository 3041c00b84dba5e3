"""Which of the steps that could start fits next: slots, processors, memory, GPUs."""

from __future__ import annotations

import heapq

from flowrun.spec.project import Resources

Size = tuple[float, int, int]
"""Processors, bytes of memory, GPUs."""


class ReadySteps:
    """The steps that could start, and what is free for them.

    They wait in one heap for each size they ask for: looking at the first of each finds the next
    to start without passing over all that do not fit.
    """

    def __init__(self, slots: int, cpus: float, memory_bytes: int, gpus: int = 0) -> None:
        """Begin with everything free."""
        self._all: Size = (cpus, memory_bytes, gpus)
        self._free: Size = self._all
        self._slots = slots
        self._heaps: dict[Size | None, list[int]] = {}
        """None for the steps that take nothing."""

    def add(self, place: int, wanted: Resources | None) -> None:
        """Let a step wait; `place` is its position in the plan, None takes not even a slot."""
        heapq.heappush(self._heaps.setdefault(self._size(wanted), []), place)

    def take(self) -> int | None:
        """Return the first step in plan order that fits, and what it takes with it."""
        fitting = [size for size in self._heaps if self._fits(size)]
        if not fitting:
            return None
        size = min(fitting, key=lambda each: self._heaps[each][0])
        place = heapq.heappop(self._heaps[size])
        if not self._heaps[size]:
            del self._heaps[size]
        self._change(size, -1)
        return place

    def drain(self) -> list[int]:
        """Return all steps, in plan order, and forget them."""
        places = sorted(place for heap in self._heaps.values() for place in heap)
        self._heaps.clear()
        return places

    def give_back(self, wanted: Resources | None) -> None:
        """Free what a step took."""
        self._change(self._size(wanted), 1)

    def _size(self, wanted: Resources | None) -> Size | None:
        if wanted is None:
            return None
        cpus, memory_bytes, gpus = self._all
        return (
            min(wanted.cpus, cpus),
            min(wanted.memory_bytes, memory_bytes),
            min(wanted.gpus, gpus),
        )

    def _fits(self, size: Size | None) -> bool:
        if size is None:
            return True
        cpus, memory_bytes, gpus = self._free
        # Sums of fractions of a processor miss the whole by a rounding error.
        is_enough = size[0] <= cpus + 1e-9 and size[1] <= memory_bytes and size[2] <= gpus
        return self._slots > 0 and is_enough

    def _change(self, size: Size | None, sign: int) -> None:
        if size is None:
            return
        self._slots += sign
        cpus, memory_bytes, gpus = self._free
        self._free = (cpus + sign * size[0], memory_bytes + sign * size[1], gpus + sign * size[2])
