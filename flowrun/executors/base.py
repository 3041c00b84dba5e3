"""What a job is, how it ends, and what an executor promises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from flowrun.spec.project import MountSpec
from flowrun.valueclass import valueclass


@valueclass
class Bind:
    """A path of this machine that a container sees at the same place."""

    path: Path
    is_read_only: bool = True


@valueclass
class Container:
    """What a job runs in, if it is to run in a container."""

    image: str
    """Its id, so that nothing can move below the job."""
    binds: tuple[Bind, ...] = ()
    """The job's directory is below one of them."""
    volumes: tuple[str, ...] = ()
    """In the words of `docker run --volume`."""
    mounts: tuple[MountSpec, ...] = ()
    arguments: Mapping[str, str] = field(default_factory=dict)
    """More in the words of `docker run`, by the names that `docker_args.py` knows."""
    labels: Mapping[str, str] = field(default_factory=dict)
    given_back: tuple[Path, ...] = ()
    """What another user than the caller may have written below: made the caller's in the end."""
    taken_back: tuple[Path, ...] = ()
    """What is copied back in the end, if the container is on another machine."""


@valueclass
class Job:
    """One attempt at a step: a complete command line with its complete surroundings."""

    id: str
    argv: tuple[str, ...]
    directory: Path
    variables: Mapping[str, str]
    """The whole environment of the process; nothing is inherited."""
    stdout: Path
    stderr: Path
    """Where what it prints is kept; live lines go to the executor's `OnLine` as well."""
    masked: tuple[str, ...] = ()
    """Secret values: replaced by `***` in what it prints, before that is kept or shown."""
    container: Container | None = None
    """None: a process of this machine."""
    timeout_s: float | None = None
    """Its whole process tree is ended, politely at first, when it has taken so long."""


@valueclass
class Usage:
    """What a job took, its whole process tree counted."""

    peak_memory_bytes: int
    cpu_time_s: float


@valueclass
class JobEnded:
    """How a job ended. Exactly one of `exit_code`, `signal` and `lost` is set."""

    job_id: str
    exit_code: int | None = None
    signal: int | None = None
    lost: str | None = None
    """Why it can't be said (could not be started, its supervisor died)."""
    start_time_ms: int = 0
    end_time_ms: int = 0
    usage: Usage | None = None
    was_cancelled: bool = False
    timed_out: bool = False
    """It was ended because it took longer than its `timeout_s`."""
    log_error: str | None = None
    """Why what it printed could not all be kept (disk full); the job itself went on."""
    ran_out_of_memory: bool = False
    """A process of it was killed because there was no more memory for it."""


class Stream(StrEnum):
    """Which of a job's two outputs a line came from."""

    STDOUT = "stdout"
    STDERR = "stderr"


class OnLine(Protocol):
    """Told each line that a job prints, as it prints it, from any thread; never raises."""

    def __call__(self, job_id: str, stream: Stream, line: str, /) -> None:
        """Take one line, without its end; undecodable bytes are replaced."""


class Executor(Protocol):
    """Runs jobs. Every method may be called from any thread."""

    def start(self, job: Job, report: Callable[[JobEnded], None]) -> None:
        """Start the job; `report` is called exactly once for it, from any thread."""

    def cancel(self, job_id: str, *, force: bool = False) -> None:
        """End the job's whole process tree, politely unless `force`; unknown ids are fine."""

    def close(self) -> None:
        """End what still runs and give everything back."""
