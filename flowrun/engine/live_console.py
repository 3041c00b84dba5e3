"""Watches a run on a terminal: lines scroll by above, what runs now stays below.

Imports rich (50 ms), so it is loaded only where standard output is a terminal.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import assert_never

from rich.console import Console, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from flowrun.engine.console import (
    MARKS,
    REUSED,
    began_line,
    cancel_line,
    duration_text,
    ended_text,
    paused_text,
    steps_text,
)
from flowrun.engine.events import (
    CancelBegan,
    EnvEnded,
    EnvProgress,
    Event,
    PlanGrew,
    RunBegan,
    RunEnded,
    RunWatched,
    StepBegan,
    StepEnded,
    StepPaused,
    StepPrinted,
    StepProgress,
    StepStatus,
)
from flowrun.executors.base import Stream

STEP_COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "bright_cyan", "bright_magenta")
STATUS_STYLES = {
    StepStatus.SUCCEEDED: "green",
    StepStatus.FAILED: "bold red",
    StepStatus.SKIPPED: "dim",
    StepStatus.KILLED: "bold yellow",
    StepStatus.PENDING: "yellow",
}
STATUS_SIGNS = {
    StepStatus.SUCCEEDED: "✓",
    StepStatus.FAILED: "✗",
    StepStatus.SKIPPED: "-",
    StepStatus.KILLED: "■",
    StepStatus.PENDING: "…",
}
AGAIN_SIGN = "↻"
REFRESH_PER_S = 8
MOST_ROWS = 10


class LiveConsole:
    """Steps' lines in colours, and a small live table of what runs and is built."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._running: dict[str, tuple[float, str]] = {}
        """Step to (when it began, what it is doing)."""
        self._building: dict[tuple[str, ...], tuple[float, str]] = {}
        """The steps that wait for an environment to the same of it."""
        self._colours: dict[str, str] = {}
        self._total = 0
        self._done = 0
        self._live = Live(
            console=console,
            refresh_per_second=REFRESH_PER_S,
            transient=True,
            get_renderable=self._table,
        )

    def on(self, event: Event) -> None:
        """Show the event; the run goes on if the terminal is gone."""
        with self._lock:
            self._note(event)
        with suppress(OSError):
            self._show(event)

    def close(self) -> None:
        """Leave the terminal as it was."""
        with suppress(OSError):
            self._live.stop()

    def _show(self, event: Event) -> None:
        text = self._text(event)
        if text is not None:
            self._console.print(text, soft_wrap=True, highlight=False)
        if isinstance(event, RunBegan | RunWatched):
            self._live.start()
        elif isinstance(event, RunEnded):
            self._live.stop()

    def _note(self, event: Event) -> None:
        match event:
            case RunBegan(plan=plan):
                self._total = len(plan.steps)
            case PlanGrew(step_ids):
                self._total += len(step_ids)
            case RunWatched(step_count):
                self._total = step_count
            case EnvProgress(step_ids, text):
                began, _ = self._building.get(step_ids, (time.monotonic(), ""))
                self._building[step_ids] = (began, text)
            case EnvEnded(step_ids):
                self._building.pop(step_ids, None)
            case StepBegan(step_id, age_ms=age_ms):
                self._running[step_id] = (time.monotonic() - age_ms / 1000, "")
            case StepProgress(step_id, text) if step_id in self._running:
                self._running[step_id] = (self._running[step_id][0], text)
            case StepPrinted(step_id) if step_id in self._running:
                self._running[step_id] = (self._running[step_id][0], "")
            case StepPaused(step_id):
                self._running[step_id] = (time.monotonic(), "waits to be tried again")
            case StepEnded(step_id):
                self._running.pop(step_id, None)
                self._done += 1
            case _:
                pass

    def _text(self, event: Event) -> Text | None:
        match event:
            case RunBegan():
                return Text(began_line(event), style="bold")
            case RunWatched() | EnvProgress() | EnvEnded() | StepBegan():
                return None  # the table shows it
            case StepProgress() | PlanGrew() | RunEnded():
                return None
            case StepPrinted(step_id, stream, line):
                shown = Text.from_ansi(line)
                if stream is Stream.STDERR:
                    shown.stylize("dim")
                return self._line(step_id, shown)
            case StepPaused(step_id):
                sign = Text(f"{AGAIN_SIGN} {MARKS[StepStatus.FAILED]} ", style="yellow")
                return self._line(step_id, sign, Text(paused_text(event)))
            case StepEnded(step_id, status):
                style = STATUS_STYLES[status]
                mark = MARKS[status] if event.reused_from is None else REUSED
                words = ended_text(event).removeprefix(mark).strip()
                sign = Text(f"{STATUS_SIGNS[status]} {mark} ", style=style)
                return self._line(step_id, sign, Text(words))
            case CancelBegan():
                return Text(cancel_line(event), style="bold yellow")
            case _:
                assert_never(event)

    def _line(self, step_id: str, *parts: Text) -> Text:
        colour = self._colours.setdefault(
            step_id, STEP_COLOURS[len(self._colours) % len(STEP_COLOURS)]
        )
        return Text.assemble((f"{step_id} ", colour), ("│ ", "dim"), *parts)

    def _table(self) -> RenderableType:
        table = Table.grid(padding=(0, 1))
        with self._lock:
            rows = [(steps_text(ids), *doing) for ids, doing in self._building.items()]
            rows += [(step_id, *doing) for step_id, doing in self._running.items()]
        now = time.monotonic()
        for name, began, text in rows[:MOST_ROWS]:
            spinner = Spinner("dots", style=self._colours.get(name, "cyan"))
            elapsed = duration_text(int((now - began) * 1000))
            table.add_row(spinner, escape(name), elapsed, Text(text, style="dim"))
        if len(rows) > MOST_ROWS:
            table.add_row("", f"and {len(rows) - MOST_ROWS} more", "", "")
        table.add_row("", Text(f"{self._done} of {self._total} steps", style="dim"), "", "")
        return table
