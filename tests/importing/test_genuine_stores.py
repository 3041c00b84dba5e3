"""Stores made by MLflow itself: imported, they read back through MLflow's client as they were."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.support.postgres import PostgresServer
from tests.support.server_process import server_process
from tests.support.space import Space
from tests.support.waiting import until

SCRIPTS = Path(__file__).parent / "scripts"

pytestmark = [pytest.mark.slow, pytest.mark.postgres]


def run_script(name: str, folder: Path, uri: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", SCRIPTS / name],
        cwd=folder,
        env={
            "PATH": os.defpath,
            "HOME": str(folder),
            "MLFLOW_TRACKING_URI": uri,
            "MLFLOW_ALLOW_FILE_STORE": "true",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def read(folder: Path, uri: str) -> list[str]:
    """Give all that MLflow's client reads from a store, line by line."""
    return run_script("read.py", folder, uri).splitlines()


@contextmanager
def mlflow_server(folder: Path, *words: str) -> Iterator[str]:
    """Run MLflow's own server on a free port until the end of the block; give its URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with (folder / "mlflow-server.log").open("w") as log:
        server = subprocess.Popen(
            [
                *(Path(sys.executable).with_name("mlflow"), "server", "--workers", "1"),
                *("--port", str(port), *words),
            ],
            cwd=folder,
            env={"PATH": os.defpath, "HOME": str(folder), "MLFLOW_DISABLE_TELEMETRY": "true"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            until(lambda: answers(url), timeout_s=240, what="MLflow's server is ready")
            yield url
        finally:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def answers(url: str) -> bool:
    try:
        with urlopen(f"{url}/health", timeout=5) as response:  # noqa: S310 - our own
            return bool(response.status == 200)
    except OSError:
        return False


@pytest.mark.parametrize("uri", {"database": "sqlite:///mlflow.db", "files": "./mlruns"}.values())
def test_a_store_reads_back_equal_through_the_genuine_client(space: Space, uri: str) -> None:
    run_script("fill.py", space.path, uri)
    before = read(space.path, uri)
    space.flowrun("import", "mlflow", uri)
    with server_process(space) as server:
        after = read(space.path, server)
    assert after == before


def test_a_server_reads_back_equal_also_when_its_database_is_imported(
    space: Space, postgres: PostgresServer
) -> None:
    database = postgres.new_database().replace("postgresql:", "postgresql+psycopg:")
    backend = ("--backend-store-uri", database)
    with mlflow_server(space.path, *backend, "--artifacts-destination", "kept") as genuine:
        run_script("fill.py", space.path, genuine)
        before = read(space.path, genuine)
        space.flowrun("import", "mlflow", genuine)
    with server_process(space) as server:
        assert read(space.path, server) == before
    second = Space(space.path / "second")
    second.path.mkdir()
    store = postgres.new_store()
    given = ("--backend-store-uri", store)
    second.flowrun("import", "mlflow", database, "--artifacts-from", space.path / "kept", *given)
    with server_process(second, *given) as server:
        assert read(space.path, server) == before
