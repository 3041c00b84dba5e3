"""Each job to the executor for where it is to run: this machine's processes, or containers."""

from __future__ import annotations

import threading
from collections.abc import Callable

from flowrun.executors.base import Executor, Job, JobEnded


class ExecutorsByPlace:
    """Keeps the promises of `Executor` with one for processes and one for containers."""

    def __init__(self, processes: Executor, make_containers: Callable[[], Executor]) -> None:
        """Make it.

        Args:
            processes: for jobs without a container.
            make_containers: makes the other; called at most once, when a job first needs it.
        """
        self._processes = processes
        self._make_containers = make_containers
        self._containers: Executor | None = None
        self._lock = threading.Lock()

    def start(self, job: Job, report: Callable[[JobEnded], None]) -> None:
        """Start the job where it belongs."""
        executor = self._processes if job.container is None else self._for_containers()
        executor.start(job, report)

    def cancel(self, job_id: str, *, force: bool = False) -> None:
        """End a job; see `Executor.cancel`."""
        for executor in self._made():
            executor.cancel(job_id, force=force)

    def close(self) -> None:
        """End what still runs: containers first, for the other's supervisor watches them."""
        for executor in self._made():
            executor.close()

    def _for_containers(self) -> Executor:
        with self._lock:
            if self._containers is None:
                self._containers = self._make_containers()
            return self._containers

    def _made(self) -> list[Executor]:
        return [each for each in (self._containers, self._processes) if each is not None]
