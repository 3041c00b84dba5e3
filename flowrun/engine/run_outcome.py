"""How a whole run ended: what the loop gives to those who asked for the run."""

from __future__ import annotations

from collections.abc import Mapping

from flowrun.engine.events import StepEnded
from flowrun.tracking.entities import RunStatus
from flowrun.valueclass import valueclass


@valueclass
class RunOutcome:
    """How a whole run ended."""

    run_id: str
    status: RunStatus
    steps: Mapping[str, StepEnded]
    duration_ms: int
    versions: tuple[str, ...] = ()
    """Model versions that it registered, as `name/version`."""
    is_surroundings: bool = False
    """What failed, failed for its surroundings: an environment, the store, the disk."""
    cancelled_by: int | None = None
    """The signal that cancelled it."""
    pending: tuple[str, ...] = ()
    """The promotions that wait for an approval, in words."""
