"""Calls that take turns: who waits, who goes on meanwhile, what becomes of errors."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from flowrun.tracking.turns import (
    Meeting,
    is_turn,
    take_turns,
    wait_for_socket,
    wait_for_thread,
)

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def received(ours: socket.socket) -> Callable[[], bytes]:
    def receive() -> bytes:
        wait_for_socket(ours.fileno())
        return ours.recv(100)

    return receive


def test_a_call_that_waits_for_nobody_is_simply_made() -> None:
    assert asyncio.run(take_turns(is_turn))
    assert not is_turn()


def test_while_a_call_waits_another_one_goes_on(pair: Pair) -> None:
    ours, theirs = pair

    async def both() -> list[object]:
        calls = (received(ours), lambda: theirs.send(b"from the other"))
        return list(await asyncio.gather(*map(take_turns, calls)))

    assert asyncio.run(both()) == [b"from the other", 14]


def test_on_a_thread_the_same_call_just_waits(pair: Pair) -> None:
    ours, theirs = pair
    sender = threading.Thread(target=theirs.send, args=(b"late",))
    sender.start()
    assert received(ours)() == b"late"
    sender.join()


def test_a_socket_that_takes_no_more_is_waited_for_while_another_call_empties_it(
    pair: Pair,
) -> None:
    ours, theirs = pair
    ours.settimeout(0)
    theirs.settimeout(0)
    size = 5_000_000

    def send() -> None:
        rest = memoryview(bytes(size))
        while rest:
            try:
                rest = rest[ours.send(rest) :]
            except BlockingIOError:
                wait_for_socket(ours.fileno(), to_write=True)

    def empty() -> int:
        count = 0
        while count < size:
            wait_for_socket(theirs.fileno())
            count += len(theirs.recv(2**16))
        return count

    async def both() -> list[object]:
        return list(await asyncio.gather(take_turns(send), take_turns(empty)))

    assert asyncio.run(both()) == [None, size]


def test_an_error_after_a_wait_reaches_who_called(pair: Pair) -> None:
    ours, theirs = pair

    def fail() -> None:
        received(ours)()
        raise ValueError("late")

    theirs.send(b"x")
    with pytest.raises(ValueError, match="late"):
        asyncio.run(take_turns(fail))


def test_a_cancelled_call_is_ended_where_it_waits(pair: Pair) -> None:
    ours, theirs = pair
    ended: list[str] = []

    def wait() -> None:
        try:
            received(ours)()
        finally:
            ended.append("cleaned up")

    async def cancel() -> None:
        task = asyncio.create_task(take_turns(wait))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        theirs.send(b"nobody reads this")
        await asyncio.sleep(0)

    asyncio.run(cancel())
    assert ended == ["cleaned up"]


def test_what_blocks_is_done_on_another_thread() -> None:
    gate = threading.Event()

    async def both() -> list[object]:
        calls = (lambda: wait_for_thread(gate.wait), gate.set)
        return list(await asyncio.gather(*map(take_turns, calls)))

    assert asyncio.run(both()) == [True, None]
    assert wait_for_thread(threading.get_ident) == threading.get_ident()


def test_an_error_on_the_other_thread_reaches_the_call() -> None:
    with pytest.raises(ZeroDivisionError):
        asyncio.run(take_turns(lambda: wait_for_thread(lambda: 1 // 0)))


@pytest.mark.parametrize("comes_first", [True, False])
def test_a_call_waits_until_another_one_lets_it_go_on(*, comes_first: bool) -> None:
    meeting = Meeting()
    order: list[str] = []

    def wait() -> None:
        meeting.wait()
        order.append("met")

    def come() -> None:
        order.append("came")
        meeting.come()

    async def both() -> None:
        calls = (come, wait) if comes_first else (wait, come)
        await asyncio.gather(*map(take_turns, calls))

    asyncio.run(both())
    assert order == ["came", "met"]


def test_nobody_but_a_turn_can_wait_for_a_meeting() -> None:
    with pytest.raises(TypeError):
        Meeting().wait()
