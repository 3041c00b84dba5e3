"""A tracking URI to an open trace store."""

from __future__ import annotations

from collections.abc import Callable

from flowrun.tracking.sql.database import Durability
from flowrun.tracking.sql.trace_store import SqlTraceStore
from flowrun.tracking.trace_store import TraceStore
from flowrun.tracking.uri import open_database


def open_trace_store(
    uri: str,
    *,
    now: Callable[[], int],
    new_id: Callable[[], str],
    durability: Durability = Durability.NORMAL,
) -> TraceStore:
    """Open the traces at `uri`, a tracking URI: they lie in the tracking store's database.

    Args:
        uri: as for `open_tracking_store`, which has been there before.
        now: milliseconds since the Unix epoch.
        new_id: 32 new hex digits at each call.
        durability: as for the tracking store.

    Raises:
        UsageError: not a URI of a store. UnsupportedError: one of a kind that keeps no traces.
        StoreError: it can't be opened.
    """
    return SqlTraceStore(open_database(uri, durability), now=now, new_id=new_id)
