"""Whether a step that failed is tried again, and after how long."""

from __future__ import annotations

from flowrun.plan.plan import PlannedStep
from flowrun.spec.project import Backoff

JITTER = 0.1
"""A wait is longer by up to this part of it, so that what failed together does not come back
together."""


def attempts_of(step: PlannedStep) -> int:
    """Return how often a step is tried at most."""
    return 1 + (step.attempts.retries or 0)


def may_try_again(step: PlannedStep, attempt: int, causes: frozenset[str]) -> bool:
    """Return whether a step may have another attempt.

    Args:
        step: the one that failed.
        attempt: the number of the attempt that failed; the first is 1.
        causes: what it failed for, in the words of `retry_on`; none: nothing that another attempt
            could change.
    """
    retry_on = step.attempts.retry_on
    is_meant = bool(causes) and (retry_on is None or not causes.isdisjoint(retry_on))
    return is_meant and attempt < attempts_of(step)


def wait_s(step: PlannedStep, attempt: int, chance: float) -> float:
    """Return how long to wait after an attempt that failed.

    Args:
        step: the one that failed.
        attempt: the number of the attempt that failed; the first is 1.
        chance: 0 to 1, at random.
    """
    backoff = step.attempts.backoff or Backoff()
    try:
        grown_s = backoff.first_s * backoff.growth ** (attempt - 1)
    except OverflowError:
        grown_s = backoff.limit_s
    return min(grown_s, backoff.limit_s) * (1 + JITTER * chance)
