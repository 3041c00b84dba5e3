"""MLflow's own server, as it is released: started once, and emptied for each test."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.waiting import until

START_TIMEOUT_S = 180
_KEPT = frozenset({"alembic_version", "experiments", "workspaces"})


@dataclass(frozen=True)
class Genuine:
    """A running `mlflow server`."""

    url: str
    database: Path

    def empty(self) -> None:
        """Remove everything but the experiment `Default`."""
        with closing(sqlite3.connect(self.database, timeout=60)) as connection, connection:
            connection.execute("PRAGMA foreign_keys = OFF")
            tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            for (name,) in tables.fetchall():
                if name not in _KEPT and not name.startswith("sqlite_"):
                    connection.execute(f'DELETE FROM "{name}"')  # noqa: S608 - names of its own
            connection.execute("DELETE FROM experiments WHERE experiment_id != 0")


@contextmanager
def genuine_server(folder: Path, store: str | None = None) -> Iterator[Genuine]:
    """Serve a store, by default a new one in a folder, until the end of the block.

    Artifacts are kept below the folder, in `artifacts`.
    """
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    database = folder / "mlflow.db"
    log = folder / "server.log"
    argv = ["server", "--workers", "1", "--port", str(port)]
    argv += ["--backend-store-uri", store or f"sqlite:///{database}"]
    argv += ["--artifacts-destination", str(folder / "artifacts")]
    variables = {
        "PATH": f"{Path(sys.executable).parent}:{os.defpath}",
        "HOME": str(folder),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # What runs jobs is six more processes.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("mlflow"), *argv],
            cwd=folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        until(lambda: _is_ready(process, url, log), START_TIMEOUT_S, "mlflow server")
        yield Genuine(url, database)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _is_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> bool:
    assert process.poll() is None, log.read_text()
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=10) as answer:  # noqa: S310 - http
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
