"""How long a server has been gone, and how long it is still waited for."""

from __future__ import annotations

import threading
from collections.abc import Callable

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0


class Outage:
    """One server's absence: the same for all threads, so that they lose patience together.

    A server that never answered is a wrong address; nobody waits for it. One that did is waited
    for, `patience_s` counted from the first call that failed. After that each call is tried once,
    until one succeeds.
    """

    def __init__(self, patience_s: float, clock: Callable[[], float]) -> None:
        """Begin without knowing the server.

        Args:
            patience_s: how long to wait for it.
            clock: seconds that only go up.
        """
        self._patience_s = patience_s
        self._clock = clock
        self._lock = threading.Lock()
        self._since: float | None = None
        self._has_answered = False
        self._is_given_up = False

    def answered(self) -> None:
        """Note that the server is there."""
        if self._since is not None or not self._has_answered:
            with self._lock:
                self._since, self._has_answered, self._is_given_up = None, True, False

    def pause_s(self, attempt: int, *, is_reached: bool, wanted_s: float | None) -> float | None:
        """Give how long to wait before the next attempt; None if that would be too long.

        Args:
            attempt: how many have failed, from 1.
            is_reached: the server, or something before it, did answer: come back later.
            wanted_s: what it asks for in `Retry-After`.
        """
        with self._lock:
            self._has_answered |= is_reached
            if not self._has_answered or self._is_given_up:
                return None
            now = self._clock()
            self._since = now if self._since is None else self._since
            pause = min(_FIRST_PAUSE_S * 2 ** min(attempt - 1, 10), _LONGEST_PAUSE_S)
            pause = max(pause, wanted_s or 0.0)
            self._is_given_up = now + pause - self._since > self._patience_s
            return None if self._is_given_up else pause

    @property
    def patience_s(self) -> float:
        """How long the server is waited for."""
        return self._patience_s
