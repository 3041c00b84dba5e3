"""The SQLite store keeps the promises of a tracking store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flowrun.tracking.store import TrackingStore
from tests.contracts.tracking_store import TrackingStoreContract
from tests.support.stores import tracking_store


class TestSqlTrackingStore(TrackingStoreContract):
    """Every promise, on a file."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[TrackingStore]:
        with tracking_store(tmp_path / "flowrun.db") as store:
            yield store
