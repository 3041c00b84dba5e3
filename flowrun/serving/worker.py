"""One process that predicts, seen from the server: started, asked, and ended."""

from __future__ import annotations

import asyncio
import json
import mmap
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from flowrun import errors
from flowrun.errors import ExecutorError, FlowrunError, InvalidValueError
from flowrun.models.scoring.frames import LENGTHS, pack
from flowrun.models.scoring.replies import Body, Reply
from flowrun.valueclass import valueclass

MODULE = "flowrun.models.scoring.worker"
LOAD_TIMEOUT_S = 600.0
_GRACE_S = 5.0
_BUFFER_BYTES = 2**20
_REFUSALS = frozenset(
    {
        "PermissionDeniedError",
        "UnsupportedError",
        "NotFoundError",
        "InvalidValueError",
        "StoreError",
    }
)


@valueclass
class Launch:
    """How to start a process that has one model loaded."""

    python: Path
    folder: Path
    """The model's."""
    directory: Path
    """Where the process works: nothing in it may be a module."""
    variables: Mapping[str, str]
    """Its complete environment; flowrun's light client is on the path."""

    def argv(self, connection: int, begun: int) -> list[str]:
        """Give the command line, with the numbers of the descriptors that the process inherits."""
        return [str(self.python), "-m", MODULE, str(connection), str(begun), str(self.folder)]


OnReplies = Callable[[Sequence[Reply]], None]


class Worker:
    """A process that has loaded its model; asked one thing at a time."""

    about: dict[str, Any]
    """What it said of the model."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        wire: _Wire,
        begun: memoryview,
        about: dict[str, Any],
    ) -> None:
        self.about = about
        self._process = process
        self._wire = wire
        self._begun = begun  # its only item is what the process counts
        self._asked = 0

    @classmethod
    async def start(cls, launch: Launch) -> Worker:
        """Start a process and wait until its model is loaded.

        Raises:
            FlowrunError: the model can't be loaded, as the process says. ExecutorError: the
                process can't be started, or ends before it has said anything.
        """
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            # Up to what the system allows: a request of that size is handed over at once.
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
        with theirs, tempfile.TemporaryFile() as counter:
            counter.truncate(mmap.PAGESIZE)
            begun = memoryview(mmap.mmap(counter.fileno(), mmap.PAGESIZE)).cast("Q")
            inherited = (theirs.fileno(), counter.fileno())
            try:
                process = await asyncio.create_subprocess_exec(
                    *launch.argv(*inherited),
                    pass_fds=inherited,
                    cwd=launch.directory,
                    env=dict(launch.variables),
                    stdin=asyncio.subprocess.DEVNULL,
                    # Standard output is the server's own.
                    stdout=sys.stderr.fileno(),
                    start_new_session=True,
                )
            except OSError as error:
                ours.close()
                raise ExecutorError(f"{launch.python} can't be started: {error}") from error
        wire = _Wire()
        await asyncio.get_running_loop().create_connection(lambda: wire, sock=ours)
        try:
            head = await asyncio.wait_for(wire.first, LOAD_TIMEOUT_S)
        except BaseException as error:
            wire.close()
            _kill(process)
            code = await process.wait()
            if isinstance(error, ConnectionError):
                raise ExecutorError(_ended_early(code)) from error
            if isinstance(error, TimeoutError):
                raise ExecutorError(
                    f"the model was not loaded after {LOAD_TIMEOUT_S:.0f} s"
                ) from error
            raise
        if "failed" in head:
            wire.close()
            await process.wait()
            raise refusal(head)
        return cls(process, wire, begun, head["about"])

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    @property
    def has_begun(self) -> bool:
        """Whether it has begun with what it was asked last.

        It says so in memory that both see, since that is there after its end, and costs nothing.
        """
        return self._begun[0] >= self._asked

    def watch(self, on_replies: OnReplies, on_end: Callable[[], None]) -> None:
        """Say who hears its answers, and of its end; before anything is asked."""
        self._wire.watch(on_replies, on_end)

    def ask(self, bodies: Sequence[Body]) -> None:
        """Have requests answered; whoever watches gets as many replies."""
        self._asked += 1
        parts = [[body.content_type, len(body.content)] for body in bodies]
        self._wire.write(pack({"parts": parts}, b"".join(body.content for body in bodies)))

    def kill(self) -> None:
        """End it at once, whatever it does, with all processes that it has started."""
        _kill(self._process)

    async def ended(self) -> int:
        """Wait for its end and give the exit code; a negative one is a signal."""
        return await self._process.wait()

    async def close(self) -> None:
        """Let it end."""
        self._wire.close()
        try:
            await asyncio.wait_for(self._process.wait(), _GRACE_S)
        except TimeoutError:
            self.kill()
            await self._process.wait()


class _Wire(asyncio.Protocol):
    """Puts frames together as they come."""

    def __init__(self) -> None:
        self.first: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._buffer = bytearray()
        self._is_lost = False
        self._transport: asyncio.WriteTransport | None = None
        self._on_replies: OnReplies | None = None
        self._on_end: Callable[[], None] | None = None

    def watch(self, on_replies: OnReplies, on_end: Callable[[], None]) -> None:
        self._on_replies, self._on_end = on_replies, on_end
        if self._is_lost:
            asyncio.get_running_loop().call_soon(on_end)

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)  # noqa: S101 - of a socket
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= LENGTHS.size:
            head_length, body_length = LENGTHS.unpack_from(self._buffer)
            start = LENGTHS.size + head_length
            end = start + body_length
            if len(self._buffer) < end:
                return
            head: dict[str, Any] = json.loads(self._buffer[LENGTHS.size : start])
            body = bytes(self._buffer[start:end])
            del self._buffer[:end]
            self._take(head, body)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._is_lost = True
        if not self.first.done():
            self.first.set_exception(ConnectionResetError("the process has ended"))
        if self._on_end is not None:
            self._on_end()

    def _take(self, head: dict[str, Any], body: bytes) -> None:
        if not self.first.done():
            self.first.set_result(head)
        elif self._on_replies is not None:
            replies, start = [], 0
            for status, content_type, length in head["parts"]:
                replies.append(Reply(status, content_type, body[start : start + length]))
                start += length
            self._on_replies(replies)


def refusal(head: dict[str, Any]) -> FlowrunError:
    """Make the error that a process says it has met with."""
    name = head["failed"]
    kind = getattr(errors, name) if name in _REFUSALS else InvalidValueError
    made: FlowrunError = kind(head["message"], head.get("hint"))
    return made


def _kill(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _ended_early(code: int) -> str:
    how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
    return f"the process that was to load the model ended {how}; what it said is above"
