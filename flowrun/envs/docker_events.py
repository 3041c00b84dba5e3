"""Long work of a container engine: a pull or a build, and what the engine tells of it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping

from flowrun.envs.docker_engine import UNREACHABLE, reason
from flowrun.envs.masking import mask
from flowrun.envs.process import LOOK_EVERY_S
from flowrun.errors import CancelledError, EnvError


class LongWork:
    """What the engine tells of long work, read by a thread so that it can be given up."""

    def __init__(
        self,
        begin: Callable[[], Iterator[Mapping[str, object]]],
        what: str,
        is_cancelled: Callable[[], bool],
    ) -> None:
        """Begin it.

        Args:
            begin: asks the engine; its events are what the engine tells.
            what: it is, for a message that it was cancelled.
            is_cancelled: asked about ten times a second.
        """
        self._begin = begin
        self._what = what
        self._is_cancelled = is_cancelled
        self._queue: queue.SimpleQueue[Mapping[str, object] | Exception | None] = (
            queue.SimpleQueue()
        )
        # The engine gives up work whose caller goes away, so nothing is left when flowrun ends.
        threading.Thread(target=self._read, name="flowrun-image", daemon=True).start()

    def until_end(self, failed: str) -> Iterator[Mapping[str, object]]:
        """Yield event after event.

        Args:
            failed: how a message of failure begins.

        Raises:
            EnvError: the engine says that it failed. CancelledError: nobody wants it any more.
        """
        while True:
            if self._is_cancelled():
                raise CancelledError(f"cancelled during {self._what}")
            try:
                event = self._queue.get(timeout=LOOK_EVERY_S)
            except queue.Empty:
                continue
            if event is None:
                return
            if isinstance(event, Exception):
                raise EnvError(f"{failed}: {mask(reason(event))}.") from event
            if problem := event.get("error"):
                raise EnvError(f"{failed}: {mask(str(problem)).strip()}")
            yield event

    def _read(self) -> None:
        try:
            for event in self._begin():
                self._queue.put(event)
        except (*UNREACHABLE, ValueError) as error:  # ValueError: the file was closed meanwhile
            self._queue.put(error)
        self._queue.put(None)
