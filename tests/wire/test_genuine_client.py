"""MLflow's own client, unchanged, against the server: one process for each theme."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.serving import TOKEN, Served, serving

SCRIPTS = Path(__file__).parent / "scripts"

pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path: Path, store_uri: str) -> Iterator[Served]:
    with serving(tmp_path, store_uri=store_uri) as served:
        yield served


def run_script(
    name: str,
    server: Served,
    folder: Path,
    variables: Mapping[str, str] | None = None,
    python: str = sys.executable,
) -> None:
    """Run a script against a server in this process."""
    run_client(
        name, server.url, folder, {"MLFLOW_TRACKING_TOKEN": TOKEN, **(variables or {})}, python
    )


def run_client(
    name: str,
    url: str,
    folder: Path,
    variables: Mapping[str, str] | None = None,
    python: str | Path = sys.executable,
) -> None:
    """Run a script of a user against a server."""
    done = subprocess.run(
        [python, "-W", "ignore", SCRIPTS / name],
        cwd=folder,
        env={
            "PATH": os.defpath,
            "HOME": str(folder),
            "MLFLOW_TRACKING_URI": url,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            # A failure that is retried would hide behind a wait of minutes.
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
            "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
            **(variables or {}),
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stdout.endswith("all good\n"), done.stdout + done.stderr


def test_a_training_script_logs_runs(server: Served, tmp_path: Path) -> None:
    run_script("runs.py", server, tmp_path, {"STEP_RUN_ID": server.new_run()})


def test_models_are_logged_registered_and_loaded(server: Served, tmp_path: Path) -> None:
    run_script("models.py", server, tmp_path)


def test_every_call_of_the_client_is_answered(server: Served, tmp_path: Path) -> None:
    run_script("client.py", server, tmp_path)


@pytest.mark.parametrize("in_background", ["true", "false"])
def test_functions_are_traced_judged_and_found(
    in_background: str, server: Served, tmp_path: Path
) -> None:
    run_script("traces.py", server, tmp_path, {"MLFLOW_ENABLE_ASYNC_TRACE_LOGGING": in_background})


def test_opentelemetry_exports_without_mlflow(server: Served, tmp_path: Path) -> None:
    run_script("otlp.py", server, tmp_path)


def test_a_server_below_a_prefix_is_found(tmp_path: Path) -> None:
    with serving(tmp_path, prefix="/team/mlflow") as server:
        run_script("skinny.py", server, tmp_path, python=skinny_python(tmp_path))


def test_the_command_line_works_with_the_tracking_uri_set(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        run_script("command_line.py", server, tmp_path)


@pytest.mark.parametrize("version", ["2.9.2", "3.1.0"])
def test_an_older_client_is_understood(version: str, tmp_path: Path) -> None:
    # Clients before 2.15 read package data by pkg_resources, which setuptools no longer brings.
    python = skinny_python(tmp_path, f"mlflow-skinny=={version}", "setuptools<81")
    with serving(tmp_path) as server:
        expected = {"EXPECTED_VERSION": version}
        run_script("older_client.py", server, tmp_path, expected, python=python)


def skinny_python(folder: Path, *packages: str) -> str:
    """Make an environment with mlflow-skinny, or with these packages, and nothing else."""
    environment = folder / "skinny"
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, environment], check=True)
    python = environment / "bin" / "python"
    install: list[str | Path] = [uv, "pip", "install", "-q", "--python", python]
    subprocess.run([*install, *(packages or ["mlflow-skinny"])], check=True, timeout=300)
    return str(python)
