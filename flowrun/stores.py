"""Opens what a tracking URI names: runs, registry and artifacts, which belong together."""

from __future__ import annotations

import functools
import importlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from flowrun.registry.store import RegistryStore
from flowrun.registry.uri import open_registry_store
from flowrun.tracking.artifacts import Artifacts, open_artifacts
from flowrun.tracking.entities import Page
from flowrun.tracking.sql.database import Durability
from flowrun.tracking.store import TrackingStore
from flowrun.tracking.uri import is_server, open_tracking_store
from flowrun.valueclass import valueclass

if TYPE_CHECKING:
    from flowrun.tracking.trace_store import TraceStore

T = TypeVar("T")

ARTIFACT_ROOT = "mlflow-artifacts:/"
"""Artifacts are named by the server that hands them out, so a name is good from everywhere."""
NO_VARIABLES: Mapping[str, str] = MappingProxyType({})


@valueclass
class Stores:
    """The stores of one tracking URI."""

    uri: str
    """Without credentials."""
    tracking: TrackingStore
    registry: RegistryStore
    artifacts_destination: str
    """Where `mlflow-artifacts:/` lies: a directory or a URL that fsspec knows, or the server."""
    open_artifacts: Callable[[str], Artifacts]
    """Artifact URI to its files."""
    credentials: Mapping[str, str] | None = field(default=None, repr=False)
    """Of a server: the variables that let a step's own client in. None: this is no server."""
    open_traces: Callable[[], TraceStore | None] = field(default=lambda: None)
    """Gives the traces beside the runs, for a server to serve; None if this is a server itself."""


@contextmanager
def open_stores(
    uri: str,
    artifacts_destination: Path | str,
    artifact_root: str = ARTIFACT_ROOT,
    variables: Mapping[str, str] = NO_VARIABLES,
    durability: Durability = Durability.NORMAL,
) -> Iterator[Stores]:
    """Open the stores of a tracking URI, and close them at the end.

    Args:
        uri: as for `open_tracking_store`, or `http://` or `https://` and a server that speaks
            MLflow's protocol. A server keeps its own artifacts; nothing is sent to it yet.
        artifacts_destination: where `mlflow-artifacts:/` lies.
        artifact_root: the URI below which new experiments keep their artifacts.
        variables: the caller's environment; a server's credentials are looked for in it.
        durability: what an answered write survives, on SQLite.
    """
    if is_server(uri):
        stores = _remote_stores(uri, variables)
        try:
            yield stores
        finally:
            stores.tracking.close()
        return
    tracking = open_tracking_store(
        uri, artifact_root=artifact_root, now=now_ms, new_id=new_id, durability=durability
    )
    try:
        registry = open_registry_store(uri, now=now_ms, tracking=tracking, durability=durability)
        try:
            destination = str(artifacts_destination)
            with ExitStack() as opened:
                yield Stores(
                    uri,
                    tracking,
                    registry,
                    destination,
                    lambda uri: open_artifacts(uri, destination=destination),
                    open_traces=functools.partial(_open_traces, uri, durability, opened),
                )
        finally:
            registry.close()
    finally:
        tracking.close()


def _remote_stores(uri: str, variables: Mapping[str, str]) -> Stores:
    # By name: http and ssl take as long to import as a trivial step to run.
    address = importlib.import_module("flowrun.tracking.rest.address").server_address(
        uri, variables
    )
    server = importlib.import_module("flowrun.tracking.rest.server").Server(address)
    tracking = importlib.import_module("flowrun.tracking.rest.store").RestTrackingStore(
        server, now=now_ms
    )
    registry = importlib.import_module("flowrun.registry.rest.versions").RestRegistryStore(
        server, tracking, now=now_ms, new_id=new_id
    )
    artifacts = importlib.import_module("flowrun.tracking.rest.artifacts")
    return Stores(
        address.url,
        tracking,
        registry,
        address.url,
        lambda uri: artifacts.open_through(server, uri),
        address.credentials,
    )


def _open_traces(uri: str, durability: Durability, opened: ExitStack) -> TraceStore:
    # By name: a run that no step of which calls its server does without it.
    module = importlib.import_module("flowrun.tracking.trace_uri")
    store: TraceStore = module.open_trace_store(
        uri, now=now_ms, new_id=new_id, durability=durability
    )
    opened.callback(store.close)
    return store


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
