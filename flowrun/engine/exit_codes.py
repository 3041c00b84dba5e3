"""What `flowrun run` tells its caller, by how the run ended."""

from __future__ import annotations

import signal

from flowrun.tracking.entities import RunStatus

EXIT_STEP_FAILED = 1
EXIT_SURROUNDINGS = 3
EXIT_PENDING = 4
"""All went well, but somebody has to approve a promotion: what follows on it must not go on."""
EXIT_BY_SIGNAL = 128


def exit_code_of(
    status: RunStatus,
    cancelled_by: int | None,
    *,
    is_surroundings: bool,
    is_pending: bool = False,
) -> int:
    """Give the exit code.

    Args:
        status: a final one.
        cancelled_by: the signal that cancelled it.
        is_surroundings: what failed, failed for its surroundings.
        is_pending: a promotion waits for an approval.
    """
    match status:
        case RunStatus.FINISHED:
            return EXIT_PENDING if is_pending else 0
        case RunStatus.KILLED:
            return EXIT_BY_SIGNAL + (cancelled_by or signal.SIGINT)
        case _:
            return EXIT_SURROUNDINGS if is_surroundings else EXIT_STEP_FAILED
