"""Calls that take turns on an event loop: while one waits for a socket, the others go on.

A store is written as if it simply waited, and on a thread it does. In a call that `take_turns`
runs, the same wait gives the thread back to the event loop until there is something to read.
Threads would do so as well, but each answer costs then two switches between threads that fight for
the interpreter: that took longer than the call. A greenlet is a function that can be left in the
midst of its work, however deep, and gone on with later.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from typing import Generic, TypeVar

from greenlet import getcurrent, greenlet

A = TypeVar("A")
T = TypeVar("T")


async def take_turns(call: Callable[[], T]) -> T:
    """Run a call that may wait by `wait_for_socket`; give what it returns.

    It must not hold a lock of `threading` while it waits: who asks for it next would be on the same
    thread. If this is cancelled, so is the call, where it waits.
    """
    turn = _Turn(call)
    turn.switch()
    if turn.dead:
        return turn.result
    turn.ended = turn.loop.create_future()
    try:
        await turn.ended
    except asyncio.CancelledError:
        if not turn.dead:
            turn.throw(asyncio.CancelledError)
        raise
    return turn.result


def wait_for_socket(fd: int, *, to_write: bool = False) -> None:
    """Wait until a socket has something to read, or with `to_write` also until it takes more."""
    turn = getcurrent()
    if isinstance(turn, _Turn):
        turn.wait(fd, to_write=to_write)
        return
    poll = select.poll()
    poll.register(fd, select.POLLIN | (select.POLLOUT if to_write else 0))
    poll.poll()


def wait_for_thread(call: Callable[[], T]) -> T:
    """Make a call that blocks in a way of its own: here, or if this is a turn, on a thread."""
    turn = getcurrent()
    return turn.wait_for_thread(call) if isinstance(turn, _Turn) else call()


def is_turn() -> bool:
    """Tell whether this call takes turns with others."""
    return isinstance(getcurrent(), _Turn)


class Meeting:
    """What a turn waits for until another one, on the same event loop, brings it about."""

    __slots__ = ("_has_come", "_turn")

    def __init__(self) -> None:
        self._has_come = False
        self._turn: _Turn[object] | None = None

    def wait(self) -> None:
        """Wait in a turn until it has come."""
        turn = getcurrent()
        if not isinstance(turn, _Turn):
            raise TypeError("only a turn can wait for another")
        if self._has_come:
            return
        self._turn = turn
        try:
            turn.let_others()
        finally:
            self._turn = None

    def come(self) -> None:
        """Let who waits go on."""
        self._has_come = True
        if self._turn is not None:
            self._turn.go_on_soon()


class _Turn(greenlet, Generic[T]):
    result: T
    ended: asyncio.Future[None]

    def __init__(self, call: Callable[[], T]) -> None:
        super().__init__()
        self.loop = asyncio.get_running_loop()
        self._others = getcurrent()
        self._call = call

    def run(self) -> None:
        self.result = self._call()

    def wait(self, fd: int, *, to_write: bool) -> None:
        self.loop.add_reader(fd, self._go_on)
        if to_write:
            self.loop.add_writer(fd, self._go_on)
        try:
            self.let_others()
        finally:
            self.loop.remove_reader(fd)
            if to_write:
                self.loop.remove_writer(fd)

    def wait_for_thread(self, call: Callable[[], A]) -> A:
        answer = self.loop.run_in_executor(None, call)
        answer.add_done_callback(self._go_on)
        try:
            self.let_others()
        finally:
            answer.remove_done_callback(self._go_on)
        return answer.result()

    def let_others(self) -> None:
        """Leave off here until somebody goes on."""
        self._others.switch()

    def go_on_soon(self) -> None:
        """Go on when the event loop comes to it."""
        self.loop.call_soon(self._go_on)

    def _go_on(self, _: object = None) -> None:
        if self.dead:
            return  # cancelled meanwhile
        try:
            self.switch()
        except BaseException as error:  # noqa: BLE001 - whoever awaits the call gets it
            if not self.ended.done():
                self.ended.set_exception(error)
        else:
            if self.dead and not self.ended.done():
                self.ended.set_result(None)
