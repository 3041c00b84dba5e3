"""Opens what a tracking URI names: runs, registry and artifacts, which belong together."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from flowrun.registry.store import RegistryStore
from flowrun.registry.uri import open_registry_store
from flowrun.tracking.artifacts import Artifacts, open_artifacts
from flowrun.tracking.entities import Page
from flowrun.tracking.store import TrackingStore
from flowrun.tracking.uri import open_tracking_store

T = TypeVar("T")

ARTIFACT_ROOT = "mlflow-artifacts:/"
"""Artifacts are named by the server that hands them out, so a name is good from everywhere."""


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores of one tracking URI."""

    uri: str
    tracking: TrackingStore
    registry: RegistryStore
    artifacts_destination: str
    """Where `mlflow-artifacts:/` lies: a directory or a URL that fsspec knows."""

    def open_artifacts(self, uri: str) -> Artifacts:
        """Open an artifact URI of these stores."""
        return open_artifacts(uri, destination=self.artifacts_destination)


@contextmanager
def open_stores(
    uri: str, artifacts_destination: Path | str, artifact_root: str = ARTIFACT_ROOT
) -> Iterator[Stores]:
    """Open the stores of a tracking URI, and close them at the end.

    Args:
        uri: as for `open_tracking_store`.
        artifacts_destination: where `mlflow-artifacts:/` lies.
        artifact_root: the URI below which new experiments keep their artifacts.
    """
    tracking = open_tracking_store(uri, artifact_root=artifact_root, now=now_ms, new_id=new_id)
    try:
        registry = open_registry_store(uri, now=now_ms, tracking=tracking)
        try:
            yield Stores(uri, tracking, registry, str(artifacts_destination))
        finally:
            registry.close()
    finally:
        tracking.close()


def all_items(search: Callable[[str | None], Page[T]]) -> list[T]:
    """Give what a search finds, page after page.

    Args:
        search: page token to page; None is the first one's.
    """
    page = search(None)
    found = list(page.items)
    while page.next_page_token is not None:
        page = search(page.next_page_token)
        found += page.items
    return found


def now_ms() -> int:
    """Give the time: milliseconds since the epoch, UTC."""
    return time.time_ns() // 1_000_000


def new_id() -> str:
    """Give a new id: 32 random hex digits."""
    return os.urandom(16).hex()
