"""Stores for tests: with a clock that only goes on when it is asked, and known ids."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from flowrun.registry.store import RegistryStore
from flowrun.registry.uri import open_registry_store
from flowrun.tracking.store import TrackingStore
from flowrun.tracking.trace_store import TraceStore
from flowrun.tracking.trace_uri import open_trace_store
from flowrun.tracking.uri import open_tracking_store

ROOT = "mlflow-artifacts:/"


def ticking_clock(start_ms: int = 1_000) -> Callable[[], int]:
    """Give a clock that is a millisecond later each time it is read."""
    return itertools.count(start_ms).__next__


def counting_ids(start: int = 1) -> Callable[[], str]:
    """Give ids that count up, as 32 hex digits."""
    numbers = itertools.count(start)
    return lambda: f"{next(numbers):032x}"


@contextmanager
def tracking_store(
    place: Path | str,
    *,
    now: Callable[[], int] | None = None,
    new_id: Callable[[], str] | None = None,
) -> Iterator[TrackingStore]:
    """Open the store in a SQLite file or at a URI, and close it at the end."""
    store = open_tracking_store(
        _uri(place),
        artifact_root=ROOT,
        now=now or ticking_clock(),
        new_id=new_id or counting_ids(),
    )
    try:
        yield store
    finally:
        store.close()


@contextmanager
def registry_store(place: Path | str, tracking: TrackingStore) -> Iterator[RegistryStore]:
    """Open the registry beside a tracking store, and close it at the end."""
    store = open_registry_store(_uri(place), now=ticking_clock(), tracking=tracking)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def trace_store(place: Path | str) -> Iterator[TraceStore]:
    """Open the traces beside a tracking store, and close them at the end."""
    store = open_trace_store(_uri(place), now=ticking_clock(), new_id=counting_ids())
    try:
        yield store
    finally:
        store.close()


def _uri(place: Path | str) -> str:
    return place if isinstance(place, str) else f"sqlite:///{place}"
