"""What a job's end says to people, and which words of `retry_on` it answers to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from flowrun.engine.events import StepStatus
from flowrun.engine.failure import failure_of
from flowrun.executors.base import Container, Job, JobEnded, Usage

JOB = Job("j", ("bash",), Path(), {}, Path("out"), Path("err"), timeout_s=90)
LIMITED = replace(JOB, container=Container("image", arguments={"memory": "1"}))
ENDED = JobEnded("j", exit_code=0)

FAILURES = {
    "exit code": (
        replace(ENDED, exit_code=3),
        JOB,
        "its command ended with exit code 3",
        {"3"},
    ),
    "signal": (
        replace(ENDED, exit_code=None, signal=11),
        JOB,
        "its command was killed by signal 11 (SIGSEGV)",
        {"SIGSEGV", "139"},
    ),
    "a shell's word for a signal": (
        replace(ENDED, exit_code=137),
        JOB,
        "its command was killed by signal 9 (SIGKILL)",
        {"SIGKILL", "137"},
    ),
    "too long": (
        replace(ENDED, timed_out=True),
        JOB,
        "its command was ended: it took longer than its timeout, 1 min 30 s",
        {"timeout"},
    ),
    "out of memory": (
        replace(ENDED, signal=9, ran_out_of_memory=True, usage=Usage(300 << 20, 1.0)),
        JOB,
        "its command was killed: the machine, or its part of it, ran out of memory; "
        "it had used 300 MiB",
        {"out-of-memory", "SIGKILL"},
    ),
    "out of the container's memory": (
        replace(ENDED, signal=9, ran_out_of_memory=True),
        LIMITED,
        "its command was killed: it used all the memory that its 'resources' give it",
        {"out-of-memory", "SIGKILL"},
    ),
    "lost": (
        replace(ENDED, exit_code=None, lost="no such program"),
        JOB,
        "its command could not run: no such program",
        {"lost"},
    ),
    "log": (
        replace(ENDED, log_error="No space left on device"),
        JOB,
        "what it printed can't be kept: No space left on device",
        set[str](),
    ),
}


@pytest.mark.parametrize(
    ("ended", "job", "detail", "causes"), FAILURES.values(), ids=FAILURES.keys()
)
def test_a_failure_is_told_and_has_its_words(
    ended: JobEnded, job: Job, detail: str, causes: set[str]
) -> None:
    failure = failure_of(ended, job)
    assert failure is not None
    assert (failure.status, failure.detail, failure.causes) == (
        StepStatus.FAILED,
        detail,
        frozenset(causes),
    )


def test_a_cancelled_job_has_failed_for_nothing_that_another_attempt_changes() -> None:
    failure = failure_of(replace(ENDED, signal=15, was_cancelled=True), JOB)
    assert failure is not None
    assert (failure.status, failure.causes) == (StepStatus.KILLED, frozenset())


def test_a_good_end_is_no_failure() -> None:
    assert failure_of(ENDED, JOB) is None
