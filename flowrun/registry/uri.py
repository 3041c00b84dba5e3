"""A registry URI to an open store."""

from __future__ import annotations

from collections.abc import Callable

from flowrun.registry.sql.store import SqlRegistryStore
from flowrun.registry.store import RegistryStore
from flowrun.tracking.sql.database import Durability
from flowrun.tracking.store import TrackingStore
from flowrun.tracking.uri import open_database


def open_registry_store(
    uri: str,
    *,
    now: Callable[[], int],
    tracking: TrackingStore,
    durability: Durability = Durability.NORMAL,
) -> RegistryStore:
    """Open the registry at `uri`, which is a tracking URI: both are kept in one database.

    Args:
        uri: as for `open_tracking_store`.
        now: milliseconds since the Unix epoch.
        tracking: where the runs and logged models are that versions come from; not closed with
            the registry.
        durability: as for the tracking store.

    Raises:
        UsageError: not a URI of a store. UnsupportedError: one of a kind that comes later.
        StoreError: it can't be opened.
    """
    return SqlRegistryStore(open_database(uri, durability), now=now, tracking=tracking)
