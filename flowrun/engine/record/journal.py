"""Keeps how each step of a pipeline is, and writes it down while the pipeline runs.

All of it in one file, whole each time, so that it costs one put on any store. A thread of its own
writes, and rests fifty times as long as the last put took: a pipeline of thousands of steps, or a
slow store, gets fewer puts, and the steps never wait for one. What happened since the last put is
no loss when flowrun is killed: readers look at the steps' own runs as well (`states.py`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace

from flowrun.engine.events import Event, PlanGrew, StepBegan, StepEnded, StepPaused, StepProgress
from flowrun.engine.record.outcome import NOT_OVER, RUNNING, WAITING, StepRow
from flowrun.errors import FlowrunError
from flowrun.plan.plan import FanIn, PipelineEnd, PlannedStep

EVERY_S = 1.0
"""Between two puts at least; a pipeline that is over sooner is written down once, at its end."""
REST = 50
_WAITS = StepRow(WAITING)


class Journal:
    """The states of one pipeline's steps. Told events one at a time; safe beside its writer."""

    def __init__(
        self,
        steps: Iterable[PlannedStep],
        put: Callable[[Mapping[str, StepRow]], None],
        now: Callable[[], int],
    ) -> None:
        """Begin with steps that all wait.

        Args:
            steps: of the plan, in its order.
            put: writes the file; what it raises is made up for by the next put.
            now: milliseconds since the epoch.
        """
        # The end of a nested pipeline is no step to its readers, unless it fails.
        ids = [step.id for step in steps if not isinstance(step.action, PipelineEnd | FanIn)]
        self._rows = dict.fromkeys(ids, _WAITS)
        self._put = put
        self._now = now
        self._lock = threading.Lock()
        self._is_changed = True
        self._closed = threading.Event()
        self._writer = threading.Thread(target=self._write, name="flowrun-journal", daemon=True)

    def begin(self) -> None:
        """Write from now on."""
        self._writer.start()

    def on(self, event: Event) -> None:
        """Take note of an event."""
        match event:
            case StepBegan(step_id, run_id):
                row = self._rows.get(step_id, _WAITS)
                began = StepRow(
                    RUNNING,
                    run_id,
                    attempts=event.attempt,
                    start_time_ms=row.start_time_ms or self._now(),
                    failed_attempts=row.failed_attempts,
                )
                self._note(step_id, began)
            case StepPaused(step_id, failed):
                row = self._rows.get(step_id, _WAITS)
                before = (*row.failed_attempts, failed)
                text = f"attempt {failed.number} failed: {failed.detail}"
                waits = replace(row, status=WAITING, detail=text, failed_attempts=before)
                self._note(step_id, waits)
            case StepProgress(step_id, text):
                row = self._rows.get(step_id, _WAITS)
                if row.status in NOT_OVER:
                    self._note(step_id, replace(row, detail=text))
            case PlanGrew(step_ids):
                for step_id in step_ids:
                    self._note(step_id, _WAITS)
            case StepEnded():
                self._note(event.step_id, self._ended(event))
            case _:
                pass

    def close(self) -> None:
        """Write no more; when this returns, no put is under way."""
        self._closed.set()
        if self._writer.ident is not None:
            self._writer.join()

    def rows(self) -> dict[str, StepRow]:
        """Give how each step is, in the plan's order."""
        with self._lock:
            self._is_changed = False
            return dict(self._rows)

    def _note(self, step_id: str, row: StepRow) -> None:
        with self._lock:
            self._rows[step_id] = row
            self._is_changed = True

    def _ended(self, event: StepEnded) -> StepRow:
        row = self._rows.get(event.step_id, _WAITS)
        ran = event.run_id is not None and event.reused_from is None
        end_ms = event.before.end_time_ms if event.before else self._now()
        return StepRow(
            event.status.value,
            event.run_id,
            event.detail,
            event.reused_from,
            event.why,
            max(row.attempts, len(event.attempts), 1 if event.before else 0),
            end_ms - event.duration_ms if ran else None,
            event.duration_ms,
            event.attempts[:-1],
        )

    def _write(self) -> None:
        pause_s = EVERY_S
        while not self._closed.wait(pause_s):
            if not self._is_changed:
                continue
            began_s = time.monotonic()
            with suppress(FlowrunError, OSError):
                self._put(self.rows())
            pause_s = max(EVERY_S, REST * (time.monotonic() - began_s))
