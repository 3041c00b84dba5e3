"""What is decided about a step: whether a finished run stands for it, and why."""

from __future__ import annotations

from enum import StrEnum

from flowrun.engine.cache.identity import Identity
from flowrun.engine.events import Before
from flowrun.plan.expressions import StepResult
from flowrun.valueclass import valueclass

CACHE_OFF = "the cache is off"
"""By --no-cache, or because a recorded run is run again."""
ALONE = "a command by itself always runs"
NO_CACHE = "cache: false"
IN_PLACE = "it runs in the project's own directory (--in-place)"
UNMET = "its condition is not met"
RERUN = "asked for (--rerun, --from)"


class Verdict(StrEnum):
    """What will become of a step, as far as that is known."""

    REUSE = "reuse"
    RUN = "run"
    UNKNOWN = "unknown"


@valueclass
class Reused:
    """A finished run that stands for a step."""

    result: StepResult
    run_id: str
    fingerprint: str
    before: Before | None = None
    """It is a run of the very pipeline that is resumed."""
    detail: str = ""
    """What an engine's step did, in words."""


@valueclass
class Foreseen:
    """What will become of one step, and why."""

    verdict: Verdict
    why: str
    reused: Reused | None = None


@valueclass
class Turn:
    """What was decided when a step's turn came."""

    reused: Reused | None = None
    identity: Identity | None = None
    """Of a step that runs; None if it can't be known yet."""
    why: str = ""
    """Why it runs."""
