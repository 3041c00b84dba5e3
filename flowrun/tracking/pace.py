"""How a store's calls may be run beside each other."""

from __future__ import annotations

from enum import Enum


class Pace(Enum):
    """What a call about one thing does to the thread that it runs on."""

    AT_ONCE = "at once"
    """It takes less than a millisecond and waits for nobody."""
    IN_TURNS = "in turns"
    """It waits by `turns.wait_for_socket`, so that others can have their turn meanwhile."""
    BLOCKING = "blocking"
    """It keeps the thread until it is done."""
