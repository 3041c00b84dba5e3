"""What a job prints: kept in files, shown line by line, with its secrets masked."""

from __future__ import annotations

import os
import selectors
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from flowrun.valueclass import valueclass

FIRST_BYTES = 64 << 20
LAST_BYTES = 4 << 20
"""Of each stream the beginning and the end are kept; a runaway job must not fill the disk."""
MAX_LINE_BYTES = 1 << 16
"""A longer line is shown in pieces."""
CHUNK_BYTES = 1 << 16


class Captured:
    """One stream of one job on its way to a file and to whoever watches."""

    def __init__(self, path: Path, masked: Sequence[str], show: Callable[[str], None]) -> None:
        self._file: BinaryIO | None = None
        self._path = path
        self._masked = sorted((s.encode() for s in masked if s), key=len, reverse=True)
        self._show = show
        self._pending = b""
        self._kept_bytes = 0
        self._last: deque[bytes] = deque()
        """What came after the first bytes, until newer ones push it out."""
        self._last_bytes = 0
        self._left_out_bytes = 0
        self.error: str | None = None
        """Why not all of it could be kept."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        self._pending += data
        end = self._pending.rfind(b"\n") + 1
        if end == 0 and len(self._pending) > MAX_LINE_BYTES:
            # No line end for long: let go of all but what may be the beginning of a secret. Whole
            # ones go first: none may be cut in two.
            self._pending = self._without_secrets(self._pending)
            end = len(self._pending) - max(map(len, self._masked), default=0)
        if end > 0:
            complete, self._pending = self._pending[:end], self._pending[end:]
            self._take(complete)

    def end(self) -> None:
        """Take what is left and close the file."""
        if self._pending:
            self._take(self._pending)
            self._pending = b""
        if self._left_out_bytes:
            self._write(
                f"\n[flowrun: {self._left_out_bytes} bytes are left out here: of what a command "
                f"prints the first {FIRST_BYTES >> 20} MiB and the last {LAST_BYTES >> 20} are "
                "kept]\n".encode()
            )
        for data in self._last:
            self._write(data)
        if self._file is not None:
            try:
                self._file.close()
            except OSError as error:
                self.error = self.error or (error.strerror or str(error))

    def _take(self, data: bytes) -> None:
        data = self._without_secrets(data)
        self._keep(data)
        for line in data.removesuffix(b"\n").split(b"\n"):
            # A progress bar redraws its line with "\r": what counts is what it shows in the end.
            shown = line.rstrip(b"\r").rsplit(b"\r", 1)[-1]
            self._show(shown.decode("utf-8", "replace"))

    def _without_secrets(self, data: bytes) -> bytes:
        for secret in self._masked:
            data = data.replace(secret, b"***")
        return data

    def _keep(self, data: bytes) -> None:
        room = FIRST_BYTES - self._kept_bytes
        if room > 0:
            self._write(data[:room])
            self._kept_bytes += len(data[:room])
            data = data[room:]
        if data:
            self._last.append(data)
            self._last_bytes += len(data)
        while self._last and self._last_bytes - len(self._last[0]) >= LAST_BYTES:
            left_out = len(self._last.popleft())
            self._last_bytes -= left_out
            self._left_out_bytes += left_out

    def _write(self, data: bytes) -> None:
        if self.error is not None:
            return
        try:
            if self._file is None:
                self._file = self._path.open("ab", buffering=0)
            self._file.write(data)
        except OSError as error:
            self.error = error.strerror or str(error)


class Capture:
    """Reads the pipes of all running jobs in one thread."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()
        self._added: list[_Pipe] = []
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._is_closed = False
        self._thread = threading.Thread(target=self._serve, name="flowrun-capture", daemon=True)
        self._thread.start()

    def add(self, fd: int, captured: Captured, ended: Callable[[], None]) -> None:
        """Read `fd` to its end into `captured`, then close it and call `ended`."""
        os.set_blocking(fd, False)
        pipe = _Pipe(fd, captured, ended)
        with self._lock:
            if not self._is_closed:
                self._added.append(pipe)
                self._wake()
                return
        pipe.close()

    def close(self) -> None:
        """Stop: what is in the pipes by now is still read, and each `ended` is called."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            self._wake()
        self._thread.join()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _wake(self) -> None:
        with suppress(BlockingIOError):  # full: it will wake
            os.write(self._wake_write, b"+")

    def _serve(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    with suppress(BlockingIOError):
                        os.read(self._wake_read, CHUNK_BYTES)
                elif key.data.is_read_to_its_end():
                    self._selector.unregister(key.fd)
                    key.data.close()
            with self._lock:
                added, self._added = self._added, []
                is_closed = self._is_closed
            for pipe in added:
                self._selector.register(pipe.fd, selectors.EVENT_READ, pipe)
            if is_closed:
                break
        for key in list(self._selector.get_map().values()):
            if key.data is not None:
                key.data.close()
        self._selector.close()


@valueclass
class _Pipe:
    """One stream's end that is read; reading never blocks."""

    fd: int
    captured: Captured
    ended: Callable[[], None]

    def is_read_to_its_end(self) -> bool:
        """Take what is there, at most one chunk; tell whether there will be no more."""
        try:
            data = os.read(self.fd, CHUNK_BYTES)
        except BlockingIOError:
            return False
        self.captured.feed(data)
        return not data

    def close(self) -> None:
        """Take what is left, close, and tell."""
        with suppress(BlockingIOError):
            while data := os.read(self.fd, CHUNK_BYTES):
                self.captured.feed(data)
        os.close(self.fd)
        self.captured.end()
        self.ended()
