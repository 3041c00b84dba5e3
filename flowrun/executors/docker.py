"""Runs jobs in containers, one for each.

Each job has a thread, which makes the container, reads what it prints until its end and removes it.
One more thread measures all that run. The supervisor process is told of each container, and removes
it if flowrun itself goes away.
"""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from docker.errors import NotFound

from flowrun.envs.docker_engine import UNREACHABLE, Engine, reason
from flowrun.errors import ExecutorError
from flowrun.executors.base import Container, Job, JobEnded, OnLine, Stream
from flowrun.executors.capture import Captured
from flowrun.executors.docker_files import copy_back, copy_in
from flowrun.executors.docker_request import (
    ended_of,
    request_for,
    request_to_give_back,
)
from flowrun.executors.docker_usage import Meter
from flowrun.executors.local import GRACE_S

CONTAINER_GONE = "somebody removed its container while it ran"
ENGINE_GONE = "the Docker engine stopped answering while its container ran"
ENGINE_RETURN_S = 30.0
"""An engine that stopped answering gets this long to come back, so that nothing is left in it."""
_LOOK_EVERY_S = 0.5
_NOT_FOUND = 127
_INIT_FAILED = re.compile(r"\[FATAL tini \(\d+\)\] exec (?P<program>.+) failed: (?P<why>.+)")
"""What the engine's own init process says when there is no such program in the image."""


class Guard(Protocol):
    """Outlives flowrun, if only for a moment."""

    def watch(self, engine: Path, container_id: str) -> None:
        """Remove this container if flowrun goes away; `engine` is its engine's unix socket."""

    def release(self, container_id: str) -> None:
        """Forget it: it is gone."""


@dataclass(slots=True, eq=False)
class _Running:
    """A job from its start to the removal of its container."""

    job: Job
    container: Container
    report: Callable[[JobEnded], None]
    streams: tuple[Captured, Captured]
    id: str | None = None
    """The engine's; None until it is made."""
    was_cancelled: bool = False
    timed_out: bool = False
    is_forced: bool = False
    last_error_line: str = ""


class DockerExecutor:
    """Keeps the promises of `Executor` with containers."""

    def __init__(
        self, on_line: OnLine, engine: Engine, guard: Guard, *, grace_s: float = GRACE_S
    ) -> None:
        self._on_line = on_line
        self._engine = engine
        self._api = engine.api
        self._guard = guard
        self._grace_s = grace_s
        self._lock = threading.Lock()
        self._running: dict[str, _Running] = {}
        self._threads: list[threading.Thread] = []
        self._is_closed = threading.Event()
        self._meter = Meter(engine.api)

    def start(self, job: Job, report: Callable[[JobEnded], None]) -> None:
        """Start the job in its container; ExecutorError after the end."""
        assert job.container is not None  # noqa: S101 - a promise of whoever chooses the executor
        streams = (
            Captured(job.stdout, job.masked, self._shower(job.id, Stream.STDOUT)),
            Captured(job.stderr, job.masked, self._shower(job.id, Stream.STDERR)),
        )
        running = _Running(job, job.container, report, streams)
        thread = threading.Thread(
            target=self._run, args=(running,), name=f"flowrun-container-{job.id}", daemon=True
        )
        with self._lock:
            if self._is_closed.is_set():
                raise ExecutorError(f"step process {job.argv[0]} can't be started: it is all over")
            self._running[job.id] = running
            self._threads.append(thread)
        thread.start()

    def cancel(self, job_id: str, *, force: bool = False) -> None:
        """End a job's whole container; see `Executor.cancel`."""
        with self._lock:
            running = self._running.get(job_id)
            if running is None:
                return
            running.was_cancelled = True
            running.is_forced |= force
        self._end(running)

    def close(self) -> None:
        """End what still runs, at once, and report it; a second call does nothing."""
        with self._lock:
            self._is_closed.set()
            running, threads = list(self._running), self._threads
        for job_id in running:
            self.cancel(job_id, force=True)
        for thread in threads:
            thread.join()
        self._meter.close()

    def _shower(self, job_id: str, stream: Stream) -> Callable[[str], None]:
        def show(line: str) -> None:
            if stream is Stream.STDERR and job_id in self._running:
                self._running[job_id].last_error_line = line
            self._on_line(job_id, stream, line)

        return show

    def _run(self, running: _Running) -> None:
        began_ms = _now_ms()
        try:
            outcome = self._carry_out(running)
        except UNREACHABLE as error:
            outcome = JobEnded(running.job.id, lost=reason(error))
        for captured in running.streams:
            captured.end()
        outcome = self._explained(running, outcome)
        self._give_back(running)
        with self._lock:
            del self._running[running.job.id]
        running.report(
            replace(
                outcome,
                start_time_ms=outcome.start_time_ms or began_ms,
                end_time_ms=_now_ms(),
                was_cancelled=running.was_cancelled,
                timed_out=running.timed_out,
                log_error=next((c.error for c in running.streams if c.error), None),
            )
        )
        self._remove(running)

    def _carry_out(self, running: _Running) -> JobEnded:
        """Make the container, start it and wait for its end."""
        job = running.job
        if any("\0" in word for word in (*job.argv, *job.variables, *job.variables.values())):
            return JobEnded(job.id, lost=f"{job.argv[0]}: Invalid argument")
        is_far = self._engine.is_far
        config, platform = request_for(job, running.container, is_far=is_far)
        container_id = self._create(config, platform)
        if self._engine.socket is not None:
            self._guard.watch(self._engine.socket, container_id)
        with self._lock:
            running.id = container_id
            if running.was_cancelled:
                return JobEnded(job.id, signal=signal.SIGTERM)
        if is_far:
            copy_in(self._api, container_id, job, running.container)
        output = self._api.attach(container_id, stream=True, demux=True)
        self._api.start(container_id)
        start_ms = _now_ms()
        if running.was_cancelled:
            self._end(running)  # asked to end between the look and the start
        self._meter.begin(container_id)
        stdout, stderr = running.streams
        timer = self._time_out_later(running)
        try:
            for out, err in output:
                stdout.feed(out or b"")
                stderr.feed(err or b"")
            self._api.wait(container_id, timeout=None)
            state = self._api.inspect_container(container_id)["State"]
        except NotFound:
            return JobEnded(job.id, lost=CONTAINER_GONE, start_time_ms=start_ms)
        except UNREACHABLE:
            self._wait_for_engine()
            return JobEnded(job.id, lost=ENGINE_GONE, start_time_ms=start_ms)
        finally:
            if timer is not None:
                timer.cancel()
            usage = self._meter.end(container_id)
            with suppress(*UNREACHABLE):  # it is closed already
                output.close()
            output._response.close()  # type: ignore[attr-defined]  # the SDK would leave it open
        if is_far and not running.was_cancelled:
            copy_back(self._api, container_id, running.container)
        return ended_of(job.id, state, usage, start_ms)

    def _create(self, config: Mapping[str, object], platform: str | None = None) -> str:
        made = self._api.create_container_from_config(config, platform=platform)  # type: ignore[no-untyped-call]  # the stubs say nothing of it
        return str(made["Id"])

    def _explained(self, running: _Running, outcome: JobEnded) -> JobEnded:
        """Tell a program that is not in the image from one that ended with 127."""
        found = _INIT_FAILED.fullmatch(running.last_error_line)
        if outcome.exit_code == _NOT_FOUND and found:
            why = f"{found['program']}: {found['why']}"
            return JobEnded(running.job.id, lost=why, start_time_ms=outcome.start_time_ms)
        return outcome

    def _end(self, running: _Running) -> None:
        """Ask the container to end, or kill it; a later call kills it if the first one did not."""
        if running.id is None:
            return  # it looks whether it was cancelled before it starts
        number = signal.SIGKILL if running.is_forced else signal.SIGTERM
        with suppress(*UNREACHABLE):  # it has ended, or its thread sees that the engine is gone
            self._api.kill(running.id, signal=number)
        if not running.is_forced:
            self._later(self._grace_s, self._force, running)

    def _force(self, running: _Running) -> None:
        """Kill a container that was asked to end, if it has not."""
        with self._lock:
            if running.job.id not in self._running:
                return
            running.is_forced = True
        self._end(running)

    def _time_out_later(self, running: _Running) -> threading.Timer | None:
        timeout_s = running.job.timeout_s
        return None if timeout_s is None else self._later(timeout_s, self._time_out, running)

    def _time_out(self, running: _Running) -> None:
        with self._lock:
            if running.job.id not in self._running or running.was_cancelled:
                return
            running.timed_out = True
        self._end(running)

    def _later(
        self, wait_s: float, act: Callable[[_Running], None], running: _Running
    ) -> threading.Timer:
        timer = threading.Timer(wait_s, act, [running])
        timer.daemon = True
        timer.start()
        return timer

    def _give_back(self, running: _Running) -> None:
        """Make the caller's what another user of the container has written, as root in another."""
        paths = running.container.given_back
        if not paths or running.id is None or self._engine.is_far:
            return
        # the root of a rootless engine's containers is the caller
        owner = "0:0" if self._engine.is_rootless else f"{os.getuid()}:{os.getgid()}"
        config = request_to_give_back(running.container, owner)
        with suppress(*UNREACHABLE):  # what can't be read is told when outputs are taken
            helper = self._create(config)
            try:
                self._api.start(helper)
                self._api.wait(helper)
            finally:
                self._api.remove_container(helper, force=True)

    def _remove(self, running: _Running) -> None:
        if running.id is None:
            return
        with suppress(*UNREACHABLE):  # gone already, or with its engine: the next flowrun looks
            self._api.remove_container(running.id, force=True, v=True)
            self._guard.release(running.id)

    def _wait_for_engine(self) -> None:
        """Return once the engine answers again, or it is clear that it won't."""
        deadline = time.monotonic() + ENGINE_RETURN_S
        while time.monotonic() < deadline and not self._is_closed.wait(_LOOK_EVERY_S):
            with suppress(*UNREACHABLE):
                self._api.ping()
                return


def remove_labelled(engine: Engine, label: str, value: str) -> int:
    """Remove all containers that carry a label; give their number."""
    found = engine.api.containers(all=True, quiet=True, filters={"label": f"{label}={value}"})
    for container in found:
        with suppress(*UNREACHABLE):  # it goes by itself at this moment
            engine.api.remove_container(container["Id"], force=True, v=True)
    return len(found)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
