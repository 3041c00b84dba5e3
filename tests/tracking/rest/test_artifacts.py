"""Artifacts behind flowrun's own server keep the promises of artifacts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flowrun.errors import InvalidValueError
from flowrun.tracking.artifacts import Artifacts
from flowrun.tracking.rest.address import server_address
from flowrun.tracking.rest.artifacts import RestArtifacts, artifact_root
from flowrun.tracking.rest.server import Server
from tests.contracts.artifacts import ArtifactsContract
from tests.support.serving import TOKEN, serving


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "served").mkdir()
    with serving(tmp_path / "served") as served:
        server = Server(server_address(served.url, {"MLFLOW_TRACKING_TOKEN": TOKEN}))
        yield server
        server.close()


class TestRestArtifacts(ArtifactsContract):
    """Every promise, through HTTP."""

    @pytest.fixture
    def artifacts(self, server: Server) -> Artifacts:
        return RestArtifacts(server, "1/run/artifacts")


def test_artifacts_of_another_server_are_not_looked_for_here(server: Server) -> None:
    host = server.url.removeprefix("http://")
    assert artifact_root(f"mlflow-artifacts://{host}/1/a", server) == "1/a"
    with pytest.raises(InvalidValueError, match=r"lies on the server other:80, and this run"):
        artifact_root("mlflow-artifacts://other:80/1/a", server)
    with pytest.raises(InvalidValueError, match="climbs"):
        artifact_root("mlflow-artifacts:/1/%2e%2e/2", server)
