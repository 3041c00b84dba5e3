"""Stores made by MLflow itself: imported, they read back through MLflow's client as they were."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.space import Space
from tests.support.waiting import until

SCRIPTS = Path(__file__).parent / "scripts"

pytestmark = pytest.mark.slow


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
def serving(space: Space) -> Iterator[str]:
    log = space.path / "server.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "flowrun", "server", "--port", "0"],
            env=space.environment(),
            stdout=output,
            stderr=output,
        )
    try:
        until(lambda: "http://" in log.read_text(), what="the server is ready")
        yield log.read_text().split()[3]
    finally:
        server.terminate()
        server.wait()


@pytest.mark.parametrize("uri", {"database": "sqlite:///mlflow.db", "files": "./mlruns"}.values())
def test_a_store_reads_back_equal_through_the_genuine_client(space: Space, uri: str) -> None:
    run_script("fill.py", space.path, uri)
    before = read(space.path, uri)
    space.flowrun("import", "mlflow", uri)
    with serving(space) as server:
        after = read(space.path, server)
    assert after == before
