"""What `flowrun run` tells its caller, by how the run ended."""

from __future__ import annotations

import signal

from flowrun.tracking.entities import RunStatus

EXIT_STEP_FAILED = 1
EXIT_SURROUNDINGS = 3
EXIT_BY_SIGNAL = 128


def exit_code_of(status: RunStatus, cancelled_by: int | None, *, is_surroundings: bool) -> int:
    """Give the exit code.

    Args:
        status: a final one.
        cancelled_by: the signal that cancelled it.
        is_surroundings: what failed, failed for its surroundings.
    """
    match status:
        case RunStatus.FINISHED:
            return 0
        case RunStatus.KILLED:
            return EXIT_BY_SIGNAL + (cancelled_by or signal.SIGINT)
        case _:
            return EXIT_SURROUNDINGS if is_surroundings else EXIT_STEP_FAILED
