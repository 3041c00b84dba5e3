"""How a running flowrun can be reached from elsewhere: by tags of the run that it carries out.

Whoever wants it to end, in another terminal or on another machine of the same store, writes a tag;
the flowrun looks for it now and then. It also says now and then that it lives, so that a run whose
machine is gone can be told from one that takes long. MLflow's protocol has tags and nothing better
for both, and so it works on every store.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from flowrun.engine.record.live import SESSION_TAG, is_held
from flowrun.errors import FlowrunError
from flowrun.tracking.entities import Run
from flowrun.tracking.store import TrackingStore

CANCEL_TAG = "flowrun.cancel"
"""`end`, or `kill`, and by whom."""
ALIVE_TAG = "flowrun.alive_ms"
HOST_TAG, PID_TAG = "flowrun.host", "flowrun.pid"
END, KILL = "end", "kill"
EVERY_S = 1.0
"""Between two looks, at least."""
REST = 50
"""So many times as long as a look took: a slow store is looked at less."""
BEAT_MS = 30_000
LOST_AFTER_MS = 5 * BEAT_MS
"""Who was not heard of for so long is gone. Two machines' clocks may differ by some of it."""


class Pulse:
    """Watches over one run from a thread of its own, which begins with `begin`."""

    def __init__(
        self,
        store: TrackingStore,
        session_id: str,
        cancel: Callable[[bool, str], None],
        now: Callable[[], int],
    ) -> None:
        """Prepare it.

        Args:
            store: where the run is.
            session_id: of the flowrun that carries it out.
            cancel: told once to end the run, and once to kill it (True), and who asked for it.
            now: milliseconds since the epoch.
        """
        self._store = store
        self._session_id = session_id
        self._cancel = cancel
        self._now = now
        self._run_id = ""
        self._beat_ms = now()
        self._done: set[str] = set()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="flowrun-pulse", daemon=True)
        self.is_taken_over = False
        """Another flowrun has resumed the run, believing this one gone: it is not ours any more."""

    def begin(self, run_id: str) -> None:
        """Watch over a run; called again, over another one instead."""
        self._run_id = run_id
        if self._thread.ident is None:
            self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._closed.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _watch(self) -> None:
        pause_s = EVERY_S
        while not self._closed.wait(pause_s):
            began_s = time.monotonic()
            with suppress(FlowrunError):  # the store is gone for a moment: the next look will do
                self._look()
            pause_s = max(EVERY_S, REST * (time.monotonic() - began_s))

    def _look(self) -> None:
        run = self._store.get_run(self._run_id)
        word, _, who = run.tags.get(CANCEL_TAG, "").partition(" by ")
        if run.tags.get(SESSION_TAG) != self._session_id:
            self.is_taken_over = True
            word, who = KILL, "another flowrun, which resumed the run"
        if word in {END, KILL} and word not in self._done:
            self._done |= {END, word}
            self._cancel(word == KILL, who)
        if self._now() - self._beat_ms >= BEAT_MS and not self.is_taken_over:
            self._beat_ms = self._now()
            self._store.log_batch(run.info.run_id, tags={ALIVE_TAG: str(self._beat_ms)})


def heard_ms(run: Run) -> int:
    """Give when the flowrun that carries a run out was last heard of."""
    told = run.tags.get(ALIVE_TAG, "")
    return max(run.info.start_time_ms, int(told) if told.isdecimal() else 0)


def is_lost(run: Run, now_ms: int) -> bool:
    """Tell whether nothing was heard of the flowrun of a run for so long that it must be gone."""
    return now_ms - heard_ms(run) > LOST_AFTER_MS


def is_gone(run: Run, now_ms: int, live: Path) -> bool:
    """Tell the same of a run that may be one of this home, whose sessions' locks say more.

    Args:
        run: one that is RUNNING.
        now_ms: the time.
        live: the folder of this home's sessions.
    """
    return is_lost(run, now_ms) and not is_held(live, run.tags.get(SESSION_TAG, ""))


def place_of(run: Run) -> str:
    """Say where the flowrun of a run is."""
    host = run.tags.get(HOST_TAG, "a machine that is not named")
    pid = run.tags.get(PID_TAG)
    return f"{host} (process {pid})" if pid else host
