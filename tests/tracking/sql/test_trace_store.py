"""The SQL store keeps the promises of a trace store."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flowrun.tracking.store import TrackingStore
from flowrun.tracking.trace_store import TraceStore
from tests.contracts.trace_store import TraceStoreContract
from tests.support.stores import trace_store, tracking_store


class TestSqlTraceStore(TraceStoreContract):
    """Every promise, on each database."""

    @pytest.fixture
    def tracking(self, store_uri: str) -> Iterator[TrackingStore]:
        with tracking_store(store_uri) as store:
            yield store

    @pytest.fixture
    def store(self, store_uri: str, tracking: TrackingStore) -> Iterator[TraceStore]:
        assert tracking.get_experiment("0").name == "Default"
        with trace_store(store_uri) as store:
            yield store
