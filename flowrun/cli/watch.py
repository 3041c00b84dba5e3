"""`flowrun runs show --watch`: what happens to a run of another flowrun, until that ends.

It reads what that one writes down, so it may be in another terminal, or on another machine of the
same store. What differs from the last look becomes the events that whoever runs it sees.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator, Mapping
from operator import itemgetter

import typer

from flowrun.cli.observing import observer_of
from flowrun.cli.tables import printable
from flowrun.engine.cache.earlier import STEP_TAG
from flowrun.engine.console import duration_text
from flowrun.engine.events import Event, RunWatched, StepBegan, StepEnded, StepProgress, StepStatus
from flowrun.engine.exit_codes import EXIT_BY_SIGNAL, EXIT_STEP_FAILED
from flowrun.engine.record.outcome import StepRow
from flowrun.engine.record.recorder import EXIT_CODE_TAG
from flowrun.proof.states import row_of_run, step_states, written_rows
from flowrun.settings import Settings
from flowrun.stores import Stores, now_ms
from flowrun.surroundings import close_killed
from flowrun.tracking.entities import Run, RunStatus

EVERY_S = 1.0
"""As often as a running flowrun writes, at most."""
REST = 10
"""So many times as long as a look took: thousands of steps, or a slow store, are looked at less."""
OVER = frozenset(StepStatus)


def watch(stores: Stores, run: Run, settings: Settings) -> int:
    """Show what happens until a run is over; give the exit code that `flowrun run` gave for it."""
    known: Mapping[str, StepRow] = {}
    pause = threading.Event()
    with observer_of(settings, shows_output=True, is_silent=False) as observer:
        typer.echo(f"run {run.info.run_id}  {printable(run.info.run_name)}")
        while True:
            began_s = time.monotonic()
            rows = _rows(stores, run)
            if not known:
                observer.on(RunWatched(len(rows)))
            for _, event in sorted(_events(known, rows, now_ms()), key=itemgetter(0)):
                observer.on(event)
            known = rows
            if run.info.status.is_final:
                break
            pause.wait(max(EVERY_S, REST * (time.monotonic() - began_s)))
            close_killed(settings, stores)
            run = stores.tracking.get_run(run.info.run_id)
    typer.echo(_end(run))
    return exit_code(run)


def exit_code(run: Run) -> int:
    """Give what `flowrun run` gave for a run that is over, as far as that is recorded."""
    match run.info.status:
        case RunStatus.FINISHED:
            return 0
        case RunStatus.KILLED:
            usual = EXIT_BY_SIGNAL + signal.SIGINT
        case _:
            usual = EXIT_STEP_FAILED
    told = run.tags.get(EXIT_CODE_TAG, "") if STEP_TAG not in run.tags else ""
    return int(told) if told in {str(code) for code in range(1, 256)} else usual


def _rows(stores: Stores, run: Run) -> Mapping[str, StepRow]:
    """Give how the steps are; once all is over as exactly as it is known."""
    if STEP_TAG in run.tags:  # a command by itself, or one step of a pipeline
        return {run.tags[STEP_TAG]: row_of_run(run)}
    if run.info.status.is_final:
        return {state.id: state.row for state in step_states(stores, run)}
    return written_rows(stores.open_artifacts(run.info.artifact_uri))


def _events(
    known: Mapping[str, StepRow], rows: Mapping[str, StepRow], now_ms: int
) -> Iterator[tuple[int, Event]]:
    """Give what happened between two looks, with when it did; for each step in its order."""
    for step_id, row in rows.items():
        before = known.get(step_id)
        if before == row or (before is not None and before.is_over):
            continue
        if row.attempts > (before.attempts if before else 0):
            began_ms = row.start_time_ms or now_ms
            age_ms = max(now_ms - began_ms, 0)
            yield began_ms, StepBegan(step_id, row.run_id or "", age_ms, row.attempts)
        if row.status in OVER:
            took_ms = row.duration_ms or 0
            ended = StepEnded(
                step_id,
                StepStatus(row.status),
                row.run_id,
                took_ms,
                row.detail,
                reused_from=row.reused_from,
                why=row.why,
            )
            if row.start_time_ms is not None:
                yield row.start_time_ms + took_ms, ended
            else:  # what is reused, is from the beginning
                yield 0 if row.reused_from else now_ms, ended
        elif row.detail and (before is None or before.detail != row.detail):
            yield now_ms, StepProgress(step_id, row.detail)


def _end(run: Run) -> str:
    words = {RunStatus.FINISHED: "finished", RunStatus.KILLED: "was cancelled"}
    took_ms = (run.info.end_time_ms or run.info.start_time_ms) - run.info.start_time_ms
    word = words.get(run.info.status, "FAILED")
    return f"run {run.info.run_id} {word} in {duration_text(took_ms)}"
