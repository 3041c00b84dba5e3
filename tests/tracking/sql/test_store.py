"""The SQL store keeps the promises of a tracking store."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flowrun.tracking.store import TrackingStore
from tests.contracts.tracking_store import TrackingStoreContract
from tests.support.stores import tracking_store


class TestSqlTrackingStore(TrackingStoreContract):
    """Every promise, on each database."""

    @pytest.fixture
    def store(self, store_uri: str) -> Iterator[TrackingStore]:
        with tracking_store(store_uri) as store:
            yield store
