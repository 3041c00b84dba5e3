"""Artifacts behind flowrun's own server keep the promises of artifacts."""

from __future__ import annotations

import filecmp
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowrun.errors import InvalidValueError, StoreError
from flowrun.tracking.artifacts import Artifacts
from flowrun.tracking.rest.address import server_address
from flowrun.tracking.rest.artifacts import RestArtifacts, artifact_root, open_through
from flowrun.tracking.rest.server import Server
from tests.contracts.artifacts import ArtifactsContract, content
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


def test_a_large_file_is_never_in_memory_as_a_whole(server: Server, tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        for _ in range(48):
            file.write(os.urandom(1 << 20))
    artifacts = RestArtifacts(server, "1/run/artifacts")
    artifacts.put_bytes("warm", b"x")
    tracemalloc.start()
    try:
        artifacts.put_file(tmp_path / "large", "large")
        artifacts.get("large", tmp_path / "back")
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert filecmp.cmp(tmp_path / "large", tmp_path / "back", shallow=False)
    assert peak_bytes < 16 << 20, "client and server are both in this process"


def test_a_server_says_where_artifacts_are(server: Server, tmp_path: Path) -> None:
    RestArtifacts(server, "1/r").put_bytes("a", b"kept by the server")
    (tmp_path / "direct").mkdir()
    (tmp_path / "direct" / "a").write_bytes(b"kept in a folder")
    whole = f"{server.url}/api/2.0/mlflow-artifacts/artifacts/1/r"
    assert content(open_through(server, "mlflow-artifacts:/1/r"), "a") == b"kept by the server"
    assert content(open_through(server, whole), "a") == b"kept by the server"
    folder = (tmp_path / "direct").as_uri()
    assert content(open_through(server, folder), "a") == b"kept in a folder"


def test_a_folder_of_another_machine_is_not_made_here(tmp_path: Path) -> None:
    server = Server(server_address("http://mlflow.example.org", {}))
    with pytest.raises(StoreError) as error:
        open_through(server, "file:///srv/nowhere-here/1/r/artifacts")
    assert error.value.message == (
        "http://mlflow.example.org keeps artifacts in /srv/nowhere-here/1/r/artifacts, which is "
        "not on this machine"
    )
    # Of a folder that both machines have, a new run's part is still to be made.
    open_through(server, (tmp_path / "1" / "r" / "artifacts").as_uri()).put_bytes("a", b"x")
    assert (tmp_path / "1" / "r" / "artifacts" / "a").read_bytes() == b"x"


def test_artifacts_of_another_server_are_not_looked_for_here(server: Server) -> None:
    host = server.url.removeprefix("http://")
    assert artifact_root(f"mlflow-artifacts://{host}/1/a", server) == "1/a"
    with pytest.raises(InvalidValueError, match=r"lies on the server other:80, and this run"):
        artifact_root("mlflow-artifacts://other:80/1/a", server)
    with pytest.raises(InvalidValueError, match="climbs"):
        artifact_root("mlflow-artifacts:/1/%2e%2e/2", server)
