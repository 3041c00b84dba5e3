"""The same evaluations by MLflow as it is released give the same numbers under the same names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.models.evaluation.cases import CASES
from tests.support.serving import TOKEN, Served, serving

REPOSITORY = Path(__file__).parents[3]
SCRIPT = REPOSITORY / "tests" / "models" / "scripts" / "evaluated.py"


def evaluated(library: str, folder: Path, server: Served) -> Any:  # noqa: ANN401 - JSON
    """Let a library evaluate all cases."""
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
    return json.loads((folder / f"{library}.json").read_text())


@pytest.mark.slow
def test_an_evaluation_is_what_mlflow_makes_of_it(tmp_path: Path) -> None:
    # One test: in several processes each would start both libraries again.
    with serving(tmp_path) as server:
        ours = evaluated("flowrun", tmp_path, server)
        theirs = evaluated("mlflow", tmp_path, server)
        check_record(ours["two classes"], server)
    for name in CASES:
        check_same(ours[name], theirs[name], name)
    table = theirs["two classes with names"]["table of flowrun"]
    assert table["columns"] == ["a", "b", "c", "target", "outputs"]
    assert set(table["outputs"]) == {"good", "poor"}


def check_same(ours: Any, theirs: Any, name: str) -> None:  # noqa: ANN401 - JSON
    """All that MLflow computes, logs and draws is there, with its numbers."""
    assert theirs["metrics"], name
    same = {key: ours["metrics"].get(key) for key in theirs["metrics"]}
    assert same == pytest.approx(theirs["metrics"], rel=1e-9, abs=1e-12), name
    assert set(theirs["logged"]) <= set(ours["logged"]), name
    assert set(theirs["artifacts"]) - {"lift_curve_plot"} <= set(ours["artifacts"]), name


def check_record(ours: Any, server: Served) -> None:  # noqa: ANN401 - JSON
    """The run says which data it is of, and the model has the metrics."""
    run = server.get("runs/get", run_id=ours["run_id"]).json["run"]
    (data,) = run["inputs"]["dataset_inputs"]
    assert data["tags"] == [{"key": "mlflow.data.context", "value": "eval"}]
    assert json.loads(data["dataset"]["profile"]) == {"shape": [120, 4]}
    tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
    table = [{"path": "eval_results_table.json", "type": "table"}]
    assert json.loads(tags["mlflow.loggedArtifacts"]) == table
    model = server.get(f"logged-models/{ours['model_id']}").json["model"]
    found = {point["key"]: point for point in model["data"]["metrics"]}
    assert found["accuracy_score"]["dataset_digest"] == data["dataset"]["digest"]
