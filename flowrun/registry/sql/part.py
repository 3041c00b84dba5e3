"""What the parts of the SQL registry share: the database, the clock, the tracking store."""

from __future__ import annotations

from collections.abc import Callable

from flowrun.tracking.sql.database import Database
from flowrun.tracking.store import TrackingStore


class RegistryPart:
    """The common ground of the parts that `SqlRegistryStore` is put together from."""

    def __init__(
        self, database: Database, *, now: Callable[[], int], tracking: TrackingStore
    ) -> None:
        self._database = database
        self._now = now
        self._tracking = tracking
