"""How handlers are run: at once on the event loop, in turns on it, or each on a thread."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable
from functools import partial

from flowrun.server.messages import Call, Response, Route
from flowrun.tracking.fields import JsonObject
from flowrun.tracking.pace import Pace

_TURNS = 16
"""Calls that wait for the database at once, each with a connection of its own."""

Answer = JsonObject | Response
_TakeTurns = Callable[[Callable[[], Answer]], Awaitable[Answer]]


class Caller:
    """Runs handlers so that none keeps the event loop from the others."""

    def __init__(self, pace: Pace) -> None:
        """Run them as the store behind them needs it."""
        self._is_quick = pace is Pace.AT_ONCE
        self._take_turns: _TakeTurns | None = None
        if pace is Pace.IN_TURNS:
            # By name: it needs greenlet, which only such a store brings along.
            self._take_turns = importlib.import_module("flowrun.tracking.turns").take_turns
        self._free = asyncio.Semaphore(_TURNS)

    async def answer(self, route: Route, call: Call) -> Answer:
        """Give what a route's handler answers."""
        if route.is_slow or not (self._is_quick or self._take_turns):
            return await asyncio.to_thread(route.handler, call)
        if self._take_turns is None:
            return route.handler(call)
        async with self._free:
            return await self._take_turns(partial(route.handler, call))
