"""The processes that predict: hands requests to them, and replaces those that die or hang.

Each process works on one thing at a time, and what waits for one is kept here: so it is known which
request a process has died of, and all others go to the next. Small requests that wait together are
asked together, if the model allows it.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

from flowrun.errors import FlowrunError, StoreUnavailableError
from flowrun.models.scoring.replies import JSON, TEXT, Body, Reply, problem
from flowrun.serving.worker import Launch, Worker
from flowrun.tracking.fields import JsonObject
from flowrun.valueclass import valueclass

_MOST_TOGETHER = 64
_MOST_BYTES_TOGETHER = 2**22
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 30.0
_LONG_LIFE_S = 10.0


class BusyError(StoreUnavailableError):
    """More requests wait than may."""


@valueclass
class PoolOptions:
    """How requests are handed out."""

    workers: int = 1
    timeout_s: float = 60.0
    """What a request gets, waiting included."""
    most_waiting: int = 1000
    together: bool = False
    """Tables that wait at the same time are predicted in one call."""


@dataclass(slots=True)
class Counts:
    """What has happened so far."""

    restarts: int = 0
    calls: int = 0
    """Of a process; one may answer several requests."""
    requests: int = 0
    timeouts: int = 0


class _Job:
    __slots__ = ("body", "future", "is_alone", "place", "timer")

    def __init__(self, body: Body, future: asyncio.Future[Reply]) -> None:
        self.body = body
        self.future = future
        self.is_alone = False  # a process has died of it, or of what was asked with it
        self.place: _Place | None = None
        self.timer: asyncio.TimerHandle | None = None


@dataclass(slots=True, eq=False)
class _Place:
    """Where one process after the other stands."""

    number: int
    worker: Worker | None = None
    began_s: float = 0.0
    pause_s: float = _FIRST_PAUSE_S
    jobs: Sequence[_Job] = ()


class Pool:
    """A number of processes with the same model; used on one event loop.

    async with Pool(launch, options) as pool:
        reply = await pool.ask(body)
    """

    def __init__(self, launch: Launch, options: PoolOptions) -> None:
        """Start nothing yet."""
        self.counts = Counts()
        self._launch = launch
        self._options = options
        self._places = [_Place(number) for number in range(options.workers)]
        self._idle: list[_Place] = []
        self._waiting: deque[_Job] = deque()
        self._restarts: set[asyncio.Task[None]] = set()
        self._is_closing = False
        self.about: JsonObject = {}
        """What the model is, as the processes say."""

    async def __aenter__(self) -> Pool:
        """Start all processes.

        Raises:
            FlowrunError: the model can't be loaded.
        """
        starts = [asyncio.ensure_future(Worker.start(self._launch)) for _ in self._places]
        try:
            workers = await asyncio.gather(*starts)
        except BaseException:
            for start in starts:
                start.cancel()
            for came in await asyncio.gather(*starts, return_exceptions=True):
                if isinstance(came, Worker):
                    came.kill()
            raise
        self.about = workers[0].about
        for place, worker in zip(self._places, workers, strict=True):
            self._settle(place, worker)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End all processes."""
        self._is_closing = True
        for task in self._restarts:
            task.cancel()
        await asyncio.gather(*self._restarts, return_exceptions=True)
        workers = [place.worker for place in self._places if place.worker is not None]
        await asyncio.gather(*(worker.close() for worker in workers))

    @property
    def alive(self) -> int:
        """How many processes can be asked, or are at work."""
        return sum(place.worker is not None for place in self._places)

    @property
    def waiting(self) -> int:
        """How many requests wait for a process."""
        return len(self._waiting)

    async def ask(self, body: Body) -> Reply:
        """Give the answer to a request.

        Raises:
            BusyError: too many wait already.
        """
        if len(self._waiting) >= self._options.most_waiting:
            raise BusyError(
                f"{self._options.most_waiting} requests wait already for the model; try again.",
            )
        loop = asyncio.get_running_loop()
        job = _Job(body, loop.create_future())
        job.timer = loop.call_later(self._options.timeout_s, self._give_up, job)
        self._waiting.append(job)
        self._hand_out()
        try:
            return await job.future
        finally:
            job.timer.cancel()

    def _hand_out(self) -> None:
        while self._idle and (jobs := self._next_jobs()):
            place = self._idle.pop()
            assert place.worker is not None  # noqa: S101 - idle ones have one
            place.jobs = jobs
            for job in jobs:
                job.place = place
            self.counts.calls += 1
            self.counts.requests += len(jobs)
            place.worker.ask([job.body for job in jobs])

    def _next_jobs(self) -> list[_Job]:
        """Take the next request; with it those that may be asked together with it."""
        jobs: list[_Job] = []
        size_bytes = 0
        while self._waiting and len(jobs) < _MOST_TOGETHER:
            job = self._waiting[0]
            if job.future.done():  # given up, or its caller is gone
                self._waiting.popleft()
                continue
            size_bytes += len(job.body.content)
            fits = size_bytes <= _MOST_BYTES_TOGETHER and job.body.content_type == JSON
            if jobs and (job.is_alone or not fits):
                break
            jobs.append(self._waiting.popleft())
            if job.is_alone or not fits or not self._options.together:
                break
        return jobs

    def _settle(self, place: _Place, worker: Worker) -> None:
        place.worker, place.began_s, place.jobs = worker, time.monotonic(), ()
        worker.watch(lambda replies: self._take(place, replies), lambda: self._lose(place))
        self._idle.append(place)
        self._hand_out()

    def _take(self, place: _Place, replies: Sequence[Reply]) -> None:
        jobs, place.jobs = place.jobs, ()
        for job, reply in zip(jobs, replies, strict=True):
            job.place = None
            if not job.future.done():
                job.future.set_result(reply)
        self._idle.append(place)
        self._hand_out()

    def _give_up(self, job: _Job) -> None:
        """Answer a request whose time is over; a process that still works on it is ended."""
        if job.future.done():
            return
        self.counts.timeouts += 1
        # In MLflow's words.
        job.future.set_result(Reply(504, TEXT, b"Request processing time exceeded limit"))
        if job.place is not None and job.place.worker is not None:
            _say(f"a request took longer than {self._options.timeout_s:g} s: its process is ended")
            job.place.worker.kill()

    def _lose(self, place: _Place) -> None:
        """See to the requests of a process that has ended, and to its successor."""
        worker, place.worker = place.worker, None
        if place in self._idle:
            self._idle.remove(place)
        jobs, place.jobs = place.jobs, ()
        for job in reversed(jobs):
            job.place = None
            if job.future.done():
                continue
            if worker is None or not worker.has_begun:  # it was dead when it was asked
                self._waiting.appendleft(job)
            elif len(jobs) > 1:  # which of them it was, shows one by one
                job.is_alone = True
                self._waiting.appendleft(job)
            else:
                job.future.set_result(_DIED)
        if not self._is_closing and worker is not None:
            task = asyncio.ensure_future(self._replace(place, worker))
            self._restarts.add(task)
            task.add_done_callback(self._restarts.discard)
            self._hand_out()

    async def _replace(self, place: _Place, lost: Worker) -> None:
        code = await lost.ended()
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        _say(f"process {lost.pid} of the model ended by {how}; another one takes its place")
        if time.monotonic() - place.began_s > _LONG_LIFE_S:
            place.pause_s = 0.0
        while True:
            await asyncio.sleep(place.pause_s)
            place.pause_s = min(max(place.pause_s * 2, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
            self.counts.restarts += 1
            try:
                worker = await Worker.start(self._launch)
            except FlowrunError as error:
                _say(f"it can't be replaced: {error}")
                continue
            self._settle(place, worker)
            return


_DIED = problem(
    "INTERNAL_ERROR",
    "The process of the model ended while it worked on this request. The server's log has more.",
    500,
)


def _say(text: str) -> None:
    sys.stderr.write(f"flowrun: {text}\n")
    sys.stderr.flush()
