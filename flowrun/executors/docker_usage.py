"""What containers take, asked of their engine while they run: in the end it has forgotten."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from docker import APIClient

from flowrun.envs.docker_engine import UNREACHABLE
from flowrun.executors.base import Usage

INTERVAL_S = 0.5
FIRST_S = 0.1
"""A container's first sample comes this soon."""


class Meter:
    """Samples every container that runs, in one thread, which lives while there are any."""

    def __init__(self, api: APIClient) -> None:
        self._api = api
        self._lock = threading.Lock()
        self._taken: dict[str, Usage | None] = {}
        self._wake = threading.Event()
        self._is_closed = False
        self._thread: threading.Thread | None = None

    def begin(self, container_id: str) -> None:
        """Sample this container until `end`."""
        with self._lock:
            self._taken[container_id] = None
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._sample, name="flowrun-usage", daemon=True
                )
                self._thread.start()
        self._wake.set()

    def end(self, container_id: str) -> Usage | None:
        """Give the most memory and the last CPU time seen; None for one too short to be seen."""
        with self._lock:
            return self._taken.pop(container_id, None)

    def close(self) -> None:
        """Stop sampling."""
        self._is_closed = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    def _sample(self) -> None:
        while not self._is_closed:
            is_new = self._wake.wait(INTERVAL_S)
            self._wake.clear()
            if is_new and not self._is_closed:
                self._wake.wait(FIRST_S)
            with self._lock:
                containers = list(self._taken)
            for container_id in containers:
                self._look(container_id)

    def _look(self, container_id: str) -> None:
        try:
            seen = usage_of(self._api.stats(container_id, stream=False, one_shot=True))
        except UNREACHABLE:
            return  # it has just ended
        with self._lock:
            before = self._taken.get(container_id)
            if container_id in self._taken:
                self._taken[container_id] = Usage(
                    max(seen.peak_memory_bytes, before.peak_memory_bytes if before else 0),
                    max(seen.cpu_time_s, before.cpu_time_s if before else 0.0),
                )


def usage_of(stats: Mapping[str, object]) -> Usage:
    """Read a sample; the memory of files that were read counts as free, as in `docker stats`."""
    memory, cpu = _map(stats.get("memory_stats")), _map(stats.get("cpu_stats"))
    details = _map(memory.get("stats"))
    # cgroup v1 and v2 call it differently.
    cache = _number(details.get("total_inactive_file", details.get("inactive_file", 0)))
    nanoseconds = _number(_map(cpu.get("cpu_usage")).get("total_usage", 0))
    return Usage(max(0, _number(memory.get("usage", 0)) - cache), nanoseconds / 1e9)


def _map(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
