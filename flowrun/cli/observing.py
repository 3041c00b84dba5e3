"""What a terminal or a pipe shows while a project runs, and how the command ends."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Protocol

import typer

from flowrun import api
from flowrun.engine.console import PlainConsole
from flowrun.engine.events import Observer
from flowrun.engine.exit_codes import exit_code_of
from flowrun.engine.run_outcome import RunOutcome
from flowrun.settings import Settings

GC_THRESHOLD = (100_000, 20, 20)
"""A plan of thousands of steps stays to the end: to look through it for garbage again and again
takes an eighth of the time."""


class _ClosingObserver(Observer, Protocol):
    def close(self) -> None:
        """Leave the terminal as it was."""


@contextmanager
def observer_of(settings: Settings, *, shows_output: bool, is_silent: bool) -> Iterator[Observer]:
    """Give what shows a run: lines in a pipe, something livelier on a terminal, or nothing."""
    if is_silent:
        yield api.SilentObserver()
    elif settings.is_terminal and shows_output:
        # by name: rich takes as long to import as a short step takes to run
        console = importlib.import_module("rich.console").Console()
        live: _ClosingObserver = importlib.import_module("flowrun.engine.live_console").LiveConsole(
            console
        )
        with closing(live):
            yield live
    else:
        yield PlainConsole(sys.stdout, shows_output=shows_output)


def progress_of(*, is_silent: bool) -> Callable[[str], None]:
    """Give what shows that something takes time before a run begins."""

    def tell(text: str) -> None:
        if not is_silent:
            with suppress(OSError):
                typer.echo(text, err=True)

    return tell


def exit_with(outcome: RunOutcome) -> typer.Exit:
    """Give the end of the command that is the run's end."""
    code = exit_code_of(
        outcome.status,
        outcome.cancelled_by,
        is_surroundings=outcome.is_surroundings,
        is_pending=bool(outcome.pending),
    )
    return typer.Exit(code)
