"""What reaches the thread that carries a plan out: from the steps' threads, signals and clocks."""

from __future__ import annotations

import queue
from contextlib import suppress

from flowrun.engine.attempts import Attempts
from flowrun.engine.steps.step import StepOutcome
from flowrun.plan.fan import Growth
from flowrun.valueclass import valueclass


@valueclass
class Done:
    """An attempt at a step is over."""

    step_id: str
    outcome: StepOutcome


@valueclass
class Broken:
    """A step's thread ended by a bug of flowrun's own."""

    error: BaseException


@valueclass
class Prepared:
    """These steps wait for their environment no more."""

    step_ids: tuple[str, ...]


@valueclass
class PauseOver:
    """A step that waits to be tried again has waited long enough."""

    step_id: str


@valueclass
class Grown:
    """The plan has more steps."""

    growth: Growth


@valueclass
class Prune:
    """A trial is to end, with all its steps."""

    step_id: str


@valueclass
class Cancel:
    """The run is to end, or to be killed."""

    is_forced: bool
    by: str = ""
    """Who asked for it from elsewhere."""


Message = Done | Broken | Prepared | PauseOver | Grown | Prune | Cancel


LOOK_EVERY_S = 1.0


class Inbox:
    """Messages in the order in which they came. `put` may be called from a signal handler."""

    def __init__(self) -> None:
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()

    def put(self, message: Message) -> None:
        """Leave a message."""
        self._messages.put(message)

    def next(self, attempts: Attempts) -> Message:
        """Wait for a message, or for the end of a pause, whichever comes first."""
        while (left_s := attempts.left_s()) is None or left_s > 0:
            # A signal that comes a moment before the wait begins does not end it.
            wait_s = LOOK_EVERY_S if left_s is None else min(left_s, LOOK_EVERY_S)
            with suppress(queue.Empty):
                return self._messages.get(timeout=wait_s)
        return PauseOver(attempts.take())
