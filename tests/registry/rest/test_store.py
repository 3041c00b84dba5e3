"""A registry behind flowrun's own server keeps the promises of a registry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from flowrun.registry.rest.versions import RestRegistryStore
from flowrun.registry.store import RegistryStore
from flowrun.tracking.rest.address import server_address
from flowrun.tracking.rest.server import Server
from flowrun.tracking.rest.store import RestTrackingStore
from flowrun.tracking.store import TrackingStore
from tests.contracts.promotion_requests import RequestContract
from tests.contracts.registry_store import RegistryStoreContract, wine  # noqa: F401 - a fixture
from tests.support.serving import TOKEN, serving
from tests.support.stores import counting_ids, ticking_clock


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path, now=ticking_clock()) as served:
        yield Server(server_address(served.url, {"MLFLOW_TRACKING_TOKEN": TOKEN}))


@pytest.fixture
def tracking(server: Server) -> Iterator[TrackingStore]:
    store = RestTrackingStore(server, now=ticking_clock())
    yield store
    store.close()


@pytest.fixture
def store(server: Server, tracking: TrackingStore) -> RegistryStore:
    return RestRegistryStore(server, tracking, now=ticking_clock(), new_id=counting_ids())


class TestRestRegistryStore(RegistryStoreContract, RequestContract):
    """Every promise, through HTTP."""

    # The server reads a request, and looks at where it leads, before the store sees it.
    told: ClassVar = {
        "new name": (
            "Missing value for required parameter 'new_name'. See the API docs for more "
            "information about request parameters."
        ),
        "source that climbs": "Invalid path 'runs:/r1/../x': it climbs with '..'.",
        "too many results": (
            "Invalid value 1001 for parameter 'max_results' supplied. It must be at most 1000."
        ),
    }
