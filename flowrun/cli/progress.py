"""How far long work is: one line that changes on a terminal, a line for each part in a pipe."""

from __future__ import annotations

import sys
import time
from types import TracebackType

import typer

_REFRESH_S = 0.1
_WIPE = "\r\x1b[2K"


class Progress:
    """Shows progress on standard error, so that standard output stays for results."""

    def __init__(self, is_terminal: bool) -> None:  # noqa: FBT001 - the one thing it must know
        self._is_live = is_terminal and sys.stderr.isatty()
        self._what, self._total, self._done = "", 0, 0
        self._began_s = self._shown_s = 0.0

    def begin(self, what: str, total: int) -> None:
        """Begin a part of the work, of so many things; 0 if that is not known."""
        self._end()
        self._what, self._total, self._done = what, total, 0
        self._began_s = time.monotonic()

    def add(self, count: int = 1) -> None:
        """So many things more are done."""
        self._done += count
        now = time.monotonic()
        if self._is_live and now - self._shown_s > _REFRESH_S:
            self._shown_s = now
            sys.stderr.write(f"{_WIPE}{self._line(now)}")
            sys.stderr.flush()

    def note(self, text: str) -> None:
        """Print a line that stays."""
        self._end()
        typer.echo(text, err=True)

    def __enter__(self) -> Progress:
        """Give itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the last line as it is."""
        self._end()

    def _end(self) -> None:
        if self._what and self._done:
            line = self._line(time.monotonic())
            sys.stderr.write(f"{_WIPE if self._is_live else ''}{line}\n")
            sys.stderr.flush()
        self._what = ""

    def _line(self, now: float) -> str:
        of = f" of {self._total:,}" if self._total else ""
        seconds = now - self._began_s
        name = "".join(c if c.isprintable() else "?" for c in self._what)
        return f"{name}: {self._done:,}{of} ({seconds:.1f} s)"
