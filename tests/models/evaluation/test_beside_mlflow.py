"""The same evaluations by MLflow as it is released give the same numbers under the same names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.models.evaluation.cases import CASES
from tests.support.serving import TOKEN, Served, serving

REPOSITORY = Path(__file__).parents[3]
SCRIPT = REPOSITORY / "tests" / "models" / "scripts" / "evaluated.py"

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Both:
    """What each made of all cases, by name."""

    ours: Any
    theirs: Any
    server: Served


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """Give what flowrun and MLflow made of all cases, and the server."""
    folder = tmp_path_factory.mktemp("evaluated")
    with serving(folder) as server:
        made = []
        for library in ("flowrun", "mlflow"):
            variables = {
                "PATH": os.defpath,
                "HOME": str(folder),
                "PYTHONPATH": str(REPOSITORY),
                "MLFLOW_TRACKING_URI": server.url,
                "MLFLOW_TRACKING_TOKEN": TOKEN,
            }
            words = [sys.executable, str(SCRIPT), library, str(folder)]
            done = subprocess.run(words, env=variables, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            made.append(json.loads((folder / f"{library}.json").read_text()))
        yield Both(made[0], made[1], server)


@pytest.mark.parametrize("name", CASES)
def test_metrics_are_those_of_mlflow(both: Both, name: str) -> None:
    ours, theirs = both.ours[name], both.theirs[name]
    assert theirs["metrics"]
    same = {key: ours["metrics"].get(key) for key in theirs["metrics"]}
    assert same == pytest.approx(theirs["metrics"], rel=1e-9, abs=1e-12)
    assert set(theirs["logged"]) <= set(ours["logged"])
    assert set(theirs["artifacts"]) - {"lift_curve_plot"} <= set(ours["artifacts"])


def test_an_evaluation_is_tied_to_its_data_and_model(both: Both) -> None:
    run_id = both.ours["two classes"]["run_id"]
    run = both.server.get("runs/get", run_id=run_id).json["run"]
    (data,) = run["inputs"]["dataset_inputs"]
    assert data["tags"] == [{"key": "mlflow.data.context", "value": "eval"}]
    assert json.loads(data["dataset"]["profile"]) == {"shape": [120, 4]}
    tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
    table = [{"path": "eval_results_table.json", "type": "table"}]
    assert json.loads(tags["mlflow.loggedArtifacts"]) == table

    model_id = both.ours["two classes"]["model_id"]
    model = both.server.get(f"logged-models/{model_id}").json["model"]
    found = {point["key"]: point for point in model["data"]["metrics"]}
    assert found["accuracy_score"]["dataset_digest"] == data["dataset"]["digest"]


def test_mlflow_reads_the_table_of_results(both: Both) -> None:
    tables = both.theirs["two classes with names"]["table of flowrun"]
    assert tables["columns"] == ["a", "b", "c", "target", "outputs"]
    assert set(tables["outputs"]) == {"good", "poor"}
