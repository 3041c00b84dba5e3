"""Runs jobs as processes of this machine.

All jobs of one executor are started by one supervisor process (`supervisor.py`), which measures
them and ends their whole process trees: when they are cancelled, when they leave something behind,
and when flowrun itself is gone.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from flowrun.errors import ExecutorError
from flowrun.executors import supervisor
from flowrun.executors.base import Job, JobEnded, OnLine, Stream, Usage
from flowrun.executors.capture import Capture, Captured

GRACE_S = 10.0
"""A cancelled job gets this long between SIGTERM and SIGKILL."""
STREAMS_PER_JOB = 2


@dataclass(slots=True)
class _Running:
    """A started job: it is over when it has ended and both its streams are read to their ends."""

    job: Job
    report: Callable[[JobEnded], None]
    streams: tuple[Captured, ...]
    open_streams: int = STREAMS_PER_JOB
    pid: int | None = None
    outcome: JobEnded | None = None


class SupervisorProcess:
    """A started supervisor; made early, it comes up while a project is read and planned."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            # -I -S: nothing of the user's or of site-packages is imported; -B: nothing is written.
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-B", supervisor.__file__],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                start_new_session=True,
                env=dict[str, str](),
            )

    def send(self, message: dict[str, object], fds: list[int] | None = None) -> None:
        """Send a request, from any thread; OSError if it is gone."""
        body = json.dumps(message).encode()
        head = len(body).to_bytes(4, "big")
        with self._lock:
            if fds:
                socket.send_fds(self.control, [head], fds)
            else:
                self.control.sendall(head)
            self.control.sendall(body)

    def watch(self, engine: Path, container_id: str) -> None:
        """Have a container removed if flowrun goes away.

        Args:
            engine: the unix socket of its engine.
            container_id: the engine's id of it.
        """
        with suppress(OSError):  # it is gone: then the next flowrun removes the container
            self.send({"op": "watch", "engine": str(engine), "id": container_id})

    def release(self, container_id: str) -> None:
        """Forget a container, which is gone."""
        with suppress(OSError):
            self.send({"op": "release", "id": container_id})

    def close(self) -> None:
        """End it, and with it every job it has; a second call does nothing."""
        with self._lock:
            if self.control.fileno() == -1:
                return
            with suppress(OSError):  # it may be gone already
                self.control.shutdown(socket.SHUT_RDWR)
            self._process.wait()
            self.control.close()


class LocalExecutor:
    """Keeps the promises of `Executor` with process groups on this machine."""

    def __init__(
        self,
        on_line: OnLine,
        *,
        grace_s: float = GRACE_S,
        process: SupervisorProcess | None = None,
    ) -> None:
        self._on_line = on_line
        self._grace_s = grace_s
        self._lock = threading.Lock()
        self._running: dict[str, _Running] = {}
        self._capture = Capture()
        self._process = process or SupervisorProcess()
        self._control = self._process.control
        self._thread = threading.Thread(target=self._listen, name="flowrun-jobs", daemon=True)
        self._thread.start()

    def start(self, job: Job, report: Callable[[JobEnded], None]) -> None:
        """Start the job; ExecutorError if the supervisor is gone."""
        pipes = [os.pipe() for _ in range(STREAMS_PER_JOB)]
        streams = tuple(
            Captured(path, job.masked, self._shower(job.id, stream))
            for path, stream in ((job.stdout, Stream.STDOUT), (job.stderr, Stream.STDERR))
        )
        running = _Running(job, report, streams)
        with self._lock:
            self._running[job.id] = running
        message = {
            "op": "start",
            "id": job.id,
            "argv": job.argv,
            "directory": str(job.directory),
            "variables": {**job.variables, supervisor.JOB_VARIABLE: job.id},
            "grace_s": self._grace_s,
            "timeout_s": job.timeout_s,
        }
        try:
            self._process.send(message, [write for _, write in pipes])
        except OSError as error:
            with self._lock:
                del self._running[job.id]
            for read, _ in pipes:
                os.close(read)
            raise ExecutorError(
                f"step process {job.argv[0]} can't be started: flowrun's supervisor process is gone"
            ) from error
        finally:
            for _, write in pipes:
                os.close(write)
        for (read, _), captured in zip(pipes, streams, strict=True):
            self._capture.add(read, captured, lambda: self._stream_ended(running))

    def cancel(self, job_id: str, *, force: bool = False) -> None:
        """End a job's whole process tree; see `Executor.cancel`."""
        try:
            self._process.send({"op": "cancel", "id": job_id, "force": force})
        except OSError:
            return  # the supervisor is gone, and its jobs with it: the listener reports them

    def close(self) -> None:
        """End what still runs, at once, and report it; a second call does nothing."""
        with suppress(OSError):  # the supervisor is gone already
            self._control.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._process.close()

    def _shower(self, job_id: str, stream: Stream) -> Callable[[str], None]:
        return lambda line: self._on_line(job_id, stream, line)

    def _listen(self) -> None:
        with self._control.makefile("rb") as replies:
            try:
                while head := replies.read(4):
                    self._take(json.loads(replies.read(int.from_bytes(head, "big"))))
            except (OSError, ValueError):
                pass  # cut off in the middle of a reply: the same as its end
        # The supervisor ends after all its jobs. If it was killed, what its jobs started may live
        # on and hold their pipes open for ever, so nobody waits for their ends any more.
        self._capture.close()
        self._give_up()

    def _take(self, reply: dict[str, object]) -> None:
        job_id = str(reply["id"])
        with self._lock:
            running = self._running[job_id]
        match reply["event"]:
            case "started":
                running.pid = int(str(reply["pid"]))
            case "failed":
                now_ms = time.time_ns() // 1_000_000
                self._ended(
                    running,
                    JobEnded(
                        job_id, lost=str(reply["why"]), start_time_ms=now_ms, end_time_ms=now_ms
                    ),
                )
            case _:
                self._ended(running, _outcome(reply))

    def _give_up(self) -> None:
        """Report every job that the supervisor took with it."""
        with self._lock:
            left = [running for running in self._running.values() if running.outcome is None]
        now_ms = time.time_ns() // 1_000_000
        for running in left:
            lost = "flowrun's supervisor process ended before the job did"
            self._ended(running, JobEnded(running.job.id, lost=lost, end_time_ms=now_ms))

    def _ended(self, running: _Running, outcome: JobEnded) -> None:
        with self._lock:
            running.outcome = outcome
            is_over = running.open_streams == 0
        if is_over:
            self._finish(running)

    def _stream_ended(self, running: _Running) -> None:
        with self._lock:
            running.open_streams -= 1
            is_over = running.open_streams == 0 and running.outcome is not None
        if is_over:
            self._finish(running)

    def _finish(self, running: _Running) -> None:
        outcome = running.outcome
        assert outcome is not None  # noqa: S101 - both callers have seen it
        with self._lock:
            del self._running[running.job.id]
        log_error = next((s.error for s in running.streams if s.error is not None), None)
        running.report(replace(outcome, log_error=log_error))


def _outcome(reply: dict[str, object]) -> JobEnded:
    exit_code, signal = reply["exit_code"], reply["signal"]
    return JobEnded(
        job_id=str(reply["id"]),
        exit_code=None if exit_code is None else int(str(exit_code)),
        signal=None if signal is None else int(str(signal)),
        start_time_ms=int(str(reply["start_ms"])),
        end_time_ms=int(str(reply["end_ms"])),
        usage=Usage(int(str(reply["peak_bytes"])), float(str(reply["cpu_s"]))),
        was_cancelled=bool(reply["was_cancelled"]),
        timed_out=bool(reply["timed_out"]),
        ran_out_of_memory=bool(reply["out_of_memory"]),
    )
