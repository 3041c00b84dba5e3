"""The same step at work on another machine of the same store, or for another user of this one.

Within one flowrun's home a file lock keeps two from doing the same; other homes see only the store.
There a step's run tells by a tag what it does while it is RUNNING. Two that begin within the same
moment may both go on, which costs time and nothing else.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence

from flowrun.engine.record.live import PARENT_TAG, SESSION_TAG, this_host
from flowrun.engine.record.pulse import HOST_TAG, PID_TAG, is_lost, place_of
from flowrun.errors import CancelledError, FlowrunError
from flowrun.tracking.entities import Run, RunStatus
from flowrun.tracking.store import TrackingStore
from flowrun.valueclass import valueclass

DOING_TAG = "flowrun.doing"
"""On the run of a step from its beginning: its fingerprint."""
LOOK_EVERY_S = 2.0


@valueclass
class Elsewhere:
    """Looks for others in a store that machines or users share."""

    store: TrackingStore
    session_id: str
    experiment_ids: Callable[[], Sequence[str]]
    now: Callable[[], int]
    look_every_s: float = LOOK_EVERY_S

    def wait(
        self, fingerprint: str, tell: Callable[[str], None], is_cancelled: Callable[[], bool]
    ) -> bool:
        """Wait while others do what has this fingerprint; give whether anybody did.

        A store that can't be asked has nobody in it: then the step is run, which is never wrong.

        Raises:
            CancelledError: `is_cancelled` said yes.
        """
        has_waited = False
        pause = threading.Event()
        while (place := self._place_of_other(fingerprint)) is not None:
            if not has_waited:
                tell(f"waiting for {place}, which does the same")
            has_waited = True
            pause.wait(self.look_every_s)
            if is_cancelled():
                raise CancelledError("cancelled while another flowrun ran the same step")
        return has_waited

    def _place_of_other(self, fingerprint: str) -> str | None:
        condition = f"attributes.status = 'RUNNING' AND tags.`{DOING_TAG}` = '{fingerprint}'"
        try:
            for run in self.store.search_runs(self.experiment_ids(), filter_text=condition).items:
                if run.tags.get(SESSION_TAG) != self.session_id:
                    parent = self.store.get_run(run.tags.get(PARENT_TAG, run.info.run_id))
                    if self._is_alive(parent):
                        return f"run {run.info.run_id} on {place_of(parent)}"
        except FlowrunError:
            return None
        return None

    def _is_alive(self, run: Run) -> bool:
        if run.info.status is not RunStatus.RUNNING or is_lost(run, self.now()):
            return False
        return run.tags.get(HOST_TAG) != this_host() or _is_process(run.tags.get(PID_TAG, ""))


def _is_process(pid: str) -> bool:
    """Tell whether this machine has a process of this number, as far as can be seen."""
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True  # another user's
    return True
