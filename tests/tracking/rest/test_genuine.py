"""MLflow's own server, spoken to by flowrun, keeps the promises of a store where it can."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from flowrun.tracking.artifacts import Artifacts
from flowrun.tracking.rest.address import server_address
from flowrun.tracking.rest.artifacts import RestArtifacts
from flowrun.tracking.rest.server import Server
from flowrun.tracking.rest.store import RestTrackingStore
from flowrun.tracking.store import TrackingStore
from tests.contracts.artifacts import ArtifactsContract
from tests.contracts.tracking_store import TrackingStoreContract
from tests.support.genuine import Genuine
from tests.support.stores import counting_ids

pytestmark = pytest.mark.slow

DIFFERS: dict[str, str] = {}


@pytest.fixture(autouse=True)
def _differs(request: pytest.FixtureRequest) -> None:
    reason = DIFFERS.get(request.node.name.removeprefix("test_"))
    if reason:
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))


@pytest.fixture
def server(genuine: Genuine) -> Iterator[Server]:
    genuine.empty()
    server = Server(server_address(genuine.url, {}))
    yield server
    server.close()


class TestGenuineTracking(TrackingStoreContract):
    """Every promise but those in DIFFERS."""

    @pytest.fixture
    def store(self, server: Server) -> TrackingStore:
        return RestTrackingStore(server, now=lambda: time.time_ns() // 1_000_000)


_ROOTS = counting_ids()


class TestGenuineArtifacts(ArtifactsContract):
    """The same for the files it keeps."""

    @pytest.fixture
    def artifacts(self, server: Server) -> Artifacts:
        return RestArtifacts(server, f"{_ROOTS()}/artifacts")
