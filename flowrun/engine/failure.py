"""What a command came to: in words for people, and in the words of `retry_on`."""

from __future__ import annotations

import signal
from collections.abc import Mapping

from flowrun.engine.cache.identity import Identity
from flowrun.engine.console import duration_text
from flowrun.engine.events import StepStatus
from flowrun.executors.base import Job, JobEnded, Usage
from flowrun.spec.project import LOST, OUT_OF_MEMORY, TIMEOUT
from flowrun.valueclass import valueclass

SIGNAL_BASE = 128
MAX_WHY_LENGTH = 4000
FAILURE = "failure"
"""The value in `$FLOWRUN_OUTPUT` by which a command that fails says why."""


@valueclass
class CommandEnded:
    """What a command came to."""

    status: StepStatus
    detail: str = ""
    outputs: Mapping[str, object] | None = None
    is_surroundings: bool = False
    """It failed for its surroundings (environment, disk), not for what it does."""
    identity: Identity | None = None
    """What it was; None if nobody may use what it did."""
    causes: frozenset[str] = frozenset()
    """What it failed for, in the words of `retry_on`; none: another attempt changes nothing."""


def failure_of(ended: JobEnded, job: Job) -> CommandEnded | None:
    """Say what was wrong with a job; None if nothing was."""
    if ended.was_cancelled:
        return CommandEnded(StepStatus.KILLED, "cancelled")
    if ended.timed_out:
        limit = duration_text(round((job.timeout_s or 0) * 1000))
        return _failed(f"its command was ended: it took longer than its timeout, {limit}", TIMEOUT)
    if ended.lost is not None:
        return _failed(f"its command could not run: {ended.lost}", LOST, is_surroundings=True)
    if ended.ran_out_of_memory:
        return _failed(_out_of_memory(job, ended.usage), OUT_OF_MEMORY, signal.SIGKILL.name)
    number = ended.signal
    if number is None and ended.exit_code is not None and ended.exit_code > SIGNAL_BASE:
        number = ended.exit_code - SIGNAL_BASE  # the shell's word for a signal
    if number is not None:
        name = _signal_name(number)
        shown = f"signal {number} ({name})" if name else f"signal {number}"
        return _failed(f"its command was killed by {shown}", name, str(SIGNAL_BASE + number))
    if ended.exit_code != 0:
        code = str(ended.exit_code)
        return _failed(f"its command ended with exit code {code}", code)
    if ended.log_error is not None:
        return _failed(f"what it printed can't be kept: {ended.log_error}", is_surroundings=True)
    return None


def told_failure(why: str, values: Mapping[str, str]) -> CommandEnded:
    """Give the end of a command that failed on purpose: to try it again would change nothing.

    Args:
        why: in its own words.
        values: what else it told; those after it may look at that.
    """
    return CommandEnded(StepStatus.FAILED, why[:MAX_WHY_LENGTH], outputs=values)


def _failed(detail: str, *causes: str, is_surroundings: bool = False) -> CommandEnded:
    return CommandEnded(
        StepStatus.FAILED,
        detail,
        is_surroundings=is_surroundings,
        causes=frozenset(filter(None, causes)),
    )


def _out_of_memory(job: Job, usage: Usage | None) -> str:
    if job.container is not None and "memory" in job.container.arguments:
        return "its command was killed: it used all the memory that its 'resources' give it"
    used = f"; it had used {usage.peak_memory_bytes / 2**20:.0f} MiB" if usage else ""
    return f"its command was killed: the machine, or its part of it, ran out of memory{used}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return ""
