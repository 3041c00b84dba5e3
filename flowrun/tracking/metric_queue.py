"""Sends metrics in the background, in order and in batches, so that a training loop never waits.

While one batch is on its way, the points that come meanwhile gather for the next one: no timer, no
delay. Of what was put, only points still waiting when the process is killed by SIGKILL are lost.

A point is JSON text from the beginning: to encode a thousand in the background would keep Python's
lock for a millisecond, and the training loop waiting.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence

from flowrun.tracking.light_http import TrackingError

Point = str
"""JSON."""
Send = Callable[[str, Sequence[Point]], None]

_BATCH = 1000  # MLflow's limit for one call
_MOST_WAITING = 50_000


class MetricQueue:
    """Points of metrics on their way to the server.

    An error shows at the next `put` or `flush` on any thread, once.
    """

    def __init__(self, send: Send) -> None:
        """Use `send(run_id, points)` for each batch; it raises TrackingError."""
        self._send = send
        self._is_direct = _is_worker_process()
        self._waiting: deque[tuple[str, Point]] = deque()
        self._is_sending = False
        self._is_idle = True
        """The sending thread, if there is one, sleeps until it is woken."""
        self._error: TrackingError | None = None
        self._lost = 0
        self._has_thread = False
        self._changed = threading.Condition()
        os.register_at_fork(after_in_child=self._go_direct)

    def put(self, run_id: str, point: Point) -> None:
        """Take a point; waits only if the server is 50,000 points behind.

        Without the lock, for which a training loop might have to wait: the other thread says that
        it is idle, and only then looks whether there is anything.
        """
        if self._is_direct:
            self._send(run_id, [point])
            return
        if self._error is not None or len(self._waiting) >= _MOST_WAITING:
            self._wait_for_room()
        self._waiting.append((run_id, point))
        if self._is_idle:
            self._wake()

    def flush(self, timeout_s: float | None = None) -> None:
        """Return when all points are recorded or the time is over, or raise why they can't be."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting and not self._is_sending, timeout_s)
            self._raise_error()

    def _go_direct(self) -> None:
        """Go on in a forked child: it has no sending thread, and what waits is its parent's."""
        self._is_direct = True
        self._waiting.clear()
        self._is_sending = False
        self._is_idle = True
        self._error = None
        self._changed = threading.Condition()  # the parent's may be held by a thread of the parent

    def _wait_for_room(self) -> None:
        with self._changed:
            self._raise_error()
            self._changed.wait_for(lambda: len(self._waiting) < _MOST_WAITING)

    def _wake(self) -> None:
        with self._changed:
            if not self._has_thread:
                threading.Thread(target=self._work, daemon=True).start()
                self._has_thread = True
            self._changed.notify_all()

    def _raise_error(self) -> None:
        if self._error is None:
            return
        error, lost = self._error, self._lost
        self._error, self._lost = None, 0
        raise TrackingError(
            f"{lost} point{'s' * (lost != 1)} of metrics could not be recorded: {error}",
            error.error_code,
        ) from error

    def _work(self) -> None:
        while True:
            with self._changed:
                self._is_idle = True
                self._changed.wait_for(lambda: self._waiting)
                self._is_idle = False
                run_id, points = self._take()
                self._is_sending = True
            lost, error = self._record(run_id, points)
            with self._changed:
                self._is_sending = False
                self._lost += lost
                self._error = self._error or error
                self._changed.notify_all()

    def _take(self) -> tuple[str, list[Point]]:
        """Take as many points from the front as one call may carry; a call is about one run."""
        run_id = self._waiting[0][0]
        points: list[Point] = []
        while self._waiting and self._waiting[0][0] == run_id and len(points) < _BATCH:
            points.append(self._waiting.popleft()[1])
        return run_id, points

    def _record(self, run_id: str, points: Sequence[Point]) -> tuple[int, TrackingError | None]:
        """Send a batch; one that is refused is sent again point by point, to keep the good ones."""
        try:
            self._send(run_id, points)
        except TrackingError as error:
            if len(points) == 1 or error.error_code != "INVALID_PARAMETER_VALUE":
                return len(points), error
        else:
            return 0, None
        results = [self._record(run_id, [point]) for point in points]
        errors = [error for _, error in results if error is not None]
        return len(errors), errors[0] if errors else None


def _is_worker_process() -> bool:
    """True in a child of multiprocessing, which ends without the handlers that would flush."""
    process = sys.modules.get("multiprocessing.process")
    return process is not None and process.parent_process() is not None
