"""Which of the steps that could start fits next: slots, processors, memory."""

from __future__ import annotations

import heapq

from flowrun.plan.plan import CommandAction, PlannedStep


class ReadySteps:
    """The steps that could start, and what is free for them.

    They wait in one heap for each size they ask for: looking at the first of each finds the next
    to start without passing over all that do not fit.
    """

    def __init__(self, slots: int, cpus: float, memory_bytes: int) -> None:
        """Begin with everything free."""
        self._all_cpus = cpus
        self._all_memory_bytes = memory_bytes
        self._slots = slots
        self._cpus = cpus
        self._memory_bytes = memory_bytes
        self._heaps: dict[tuple[float, int] | None, list[int]] = {}
        """By (cpus, memory); None for the steps that take nothing."""

    def add(self, place: int, step: PlannedStep) -> None:
        """Let a step wait; `place` is its position in the plan."""
        heapq.heappush(self._heaps.setdefault(self._size(step), []), place)

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

    def give_back(self, step: PlannedStep) -> None:
        """Free what a step took."""
        self._change(self._size(step), 1)

    def _size(self, step: PlannedStep) -> tuple[float, int] | None:
        if not isinstance(step.action, CommandAction):
            return None
        wanted = step.resources
        return (
            min(wanted.cpus, self._all_cpus),
            min(wanted.memory_bytes, self._all_memory_bytes),
        )

    def _fits(self, size: tuple[float, int] | None) -> bool:
        if size is None:
            return True
        cpus, memory_bytes = size
        # Sums of fractions of a processor miss the whole by a rounding error.
        is_enough = cpus <= self._cpus + 1e-9 and memory_bytes <= self._memory_bytes
        return self._slots > 0 and is_enough

    def _change(self, size: tuple[float, int] | None, sign: int) -> None:
        if size is None:
            return
        self._slots += sign
        self._cpus += sign * size[0]
        self._memory_bytes += sign * size[1]
