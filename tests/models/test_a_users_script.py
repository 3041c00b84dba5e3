"""A script of MLflow's documents against `flowrun server`, with either client."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flowrun.tracking.entities import ModelStatus, RunStatus
from tests.support.genuine import Genuine
from tests.support.serving import TOKEN, serving

SCRIPT = Path(__file__).parent / "scripts" / "cancer.py"


def run_script(url: str, folder: Path, client: str) -> str:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), client],
        cwd=folder,
        env={
            "PATH": os.defpath,
            "HOME": str(folder),
            "MLFLOW_TRACKING_URI": url,
            "MLFLOW_TRACKING_TOKEN": TOKEN,
            "MLFLOW_DISABLE_TELEMETRY": "true",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize("client", ["flowrun", pytest.param("mlflow", marks=pytest.mark.slow)])
def test_the_script_of_a_user_of_mlflow_runs_with_either_client(
    tmp_path: Path, client: str
) -> None:
    with serving(tmp_path) as server:
        number, run_id = run_script(server.url, tmp_path, client).split()
        assert number == "2"
        run = server.tracking.get_run(run_id)
        assert run.info.status is RunStatus.FINISHED
        assert run.params["n_estimators"] == "20"
        assert len(server.tracking.get_metric_history(run_id, "accuracy").items) >= 20
        version = server.registry.get_model_version("breast-cancer", "1")
        assert version.run_id == run_id
        model = server.tracking.get_logged_model(version.model_id or "")
        assert (model.name, model.status) == ("model", ModelStatus.READY)
        assert model.source_run_id == run_id
        assert model.params["learning_rate"] == "0.1"
        listed = server.get("runs/get", run_id=run_id).json["run"]["outputs"]["model_outputs"]
        assert [output["model_id"] for output in listed] == [model.model_id]
        (mlmodel,) = server.artifacts.rglob("MLmodel")
        assert f"model_id: {model.model_id}" in mlmodel.read_text()


@pytest.mark.slow
def test_it_runs_with_flowrun_against_mlflows_own_server_too(
    tmp_path: Path, genuine: Genuine
) -> None:
    genuine.empty()
    number, _ = run_script(genuine.url, tmp_path, "flowrun").split()
    assert number == "2"
