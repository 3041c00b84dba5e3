"""Several environments made at the same time, at most so many at once."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from flowrun.envs.base import Env, EnvRequest, Progress


class Ensure(Protocol):
    """What makes one environment: `EnvStore.ensure`, with its manager filled in."""

    def __call__(
        self, request: EnvRequest, progress: Progress, *, is_cancelled: Callable[[], bool]
    ) -> Env:
        """Give the environment, or raise why it can't be had."""


class Observer(Protocol):
    """Told of each environment by its place in the list; called from the builders' threads."""

    def progress(self, place: int, text: str) -> None:
        """Something takes time."""

    def ended(self, place: int, came: Env | BaseException) -> None:
        """It is there, or this is why not. Exactly once for each, unless the builds are closed."""


class SideBySide:
    """Builders of environments, begun in the order of the list; they end with it, or with `close`.

    What they build is shared through the environment store, so nobody has to wait for them.
    """

    def __init__(
        self, requests: Sequence[EnvRequest], ensure: Ensure, observer: Observer, *, at_once: int
    ) -> None:
        """Start the builders.

        Args:
            requests: no two the same.
            ensure: makes one.
            observer: told of each.
            at_once: builders, at most; at least 1.
        """
        self._requests = requests
        self._ensure = ensure
        self._observer = observer
        self._closed = threading.Event()
        self._places: queue.SimpleQueue[int] = queue.SimpleQueue()
        for place in range(len(requests)):
            self._places.put(place)
        self._threads = [
            threading.Thread(target=self._build, name="flowrun-envs", daemon=True)
            for _ in range(min(at_once, len(requests)))
        ]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait until each has ended."""
        for thread in self._threads:
            thread.join()

    def close(self) -> None:
        """End what is being built, begin nothing more, and wait for that."""
        self._closed.set()
        self.join()

    def _build(self) -> None:
        while not self._closed.is_set():
            try:
                place = self._places.get_nowait()
            except queue.Empty:
                return
            self._observer.ended(place, self._made(place))

    def _made(self, place: int) -> Env | BaseException:
        def progress(text: str) -> None:
            self._observer.progress(place, text)

        try:
            return self._ensure(self._requests[place], progress, is_cancelled=self._closed.is_set)
        except BaseException as error:  # noqa: BLE001 - kept for whoever needs the environment
            return error
