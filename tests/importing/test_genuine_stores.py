"""Stores made by MLflow itself: imported, they read back through MLflow's client as they were."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.genuine import genuine_server
from tests.support.postgres import PostgresServer
from tests.support.server_process import server_process
from tests.support.space import Space

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
    with genuine_server(space.path, database) as genuine:
        run_script("fill.py", space.path, genuine.url)
        before = read(space.path, genuine.url)
        space.flowrun("import", "mlflow", genuine.url)
    with server_process(space) as server:
        assert read(space.path, server) == before
    second = Space(space.path / "second")
    second.path.mkdir()
    store = postgres.new_store()
    given = ("--backend-store-uri", store)
    second.flowrun(
        "import", "mlflow", database, "--artifacts-from", space.path / "artifacts", *given
    )
    with server_process(second, *given) as server:
        assert read(space.path, server) == before
