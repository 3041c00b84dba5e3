"""Trainings that are logged by themselves, each in a script as a user writes it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.serving import TOKEN, Served, serving

REPOSITORY = Path(__file__).parents[2]
SCRIPT = REPOSITORY / "tests" / "models" / "scripts" / "autologged.py"

# What each training leaves: flavor, some params, some metrics (with their number of points), files.
LOGGED: dict[str, tuple[str, dict[str, str], dict[str, int], set[str]]] = {
    "sklearn linear": (
        "sklearn",
        {"logisticregression__C": "1.0", "standardscaler__with_mean": "True"},
        {"training_accuracy_score": 1, "training_roc_auc": 1, "training_score": 1},
        set(),
    ),
    "search": (
        "sklearn",
        {"best_alpha": "0.1", "estimator__fit_intercept": "True"},
        {"best_cv_score": 1, "training_r2_score": 1},
        {"cv_results.csv"},
    ),
    "xgboost booster with metrics": (
        "xgboost",
        {"objective": "binary:logistic", "num_boost_round": "4"},
        {"train-logloss": 4},
        {"feature_importance_weight.json"},
    ),
    "xgboost estimator": (
        "xgboost",
        {"n_estimators": "4"},
        {},
        {"feature_importance_split.json"},
    ),
    "lightgbm booster with metrics": (
        "lightgbm",
        {"metric": "l2", "num_boost_round": "4"},
        {"train-l2": 4},
        {"feature_importance_split.json"},
    ),
    "lightgbm estimator": (
        "lightgbm",
        {"n_estimators": "4"},
        {},
        {"feature_importance_split.json"},
    ),
    "statsmodels": (
        "statsmodels",
        {"model": "OLS"},
        {"rsquared": 1, "aic": 1},
        {"model_summary.txt"},
    ),
}


def run(server: Served, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={
            "PATH": os.defpath,
            "HOME": str(folder),
            "PYTHONPATH": str(REPOSITORY),
            "MLFLOW_TRACKING_URI": server.url,
            "MLFLOW_TRACKING_TOKEN": TOKEN,
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("server")) as served:
        yield served


def runs_of(server: Served) -> dict[str, Any]:
    found = server.post("runs/search", {"experiment_ids": ["0"]}).json.get("runs", [])
    return {item["info"]["run_name"]: item for item in found}


@pytest.mark.slow
def test_a_training_leaves_params_metrics_the_model_and_a_digest_of_its_data(
    server: Served, tmp_path: Path
) -> None:
    done = run(server, tmp_path, str(SCRIPT), *LOGGED)
    assert (done.returncode, done.stderr) == (0, "")
    for name, (flavor, params, metrics, files) in LOGGED.items():
        info = runs_of(server)[name]["info"]
        logged = server.tracking.get_run(info["run_id"])
        assert params.items() <= logged.params.items(), name
        for metric, count in metrics.items():
            history = server.tracking.get_metric_history(info["run_id"], metric)
            own = [point for point in history.items if point.model_id is None]
            assert len(own) == count, (name, metric)
        listed = server.get("artifacts/list", run_id=info["run_id"]).json.get("files", [])
        assert {item["path"] for item in listed} == files, name
        outputs = server.get("runs/get", run_id=info["run_id"]).json["run"]["outputs"]
        (output,) = outputs["model_outputs"]
        (folder,) = server.artifacts.rglob(f"{output['model_id']}/artifacts")
        text = (folder / "MLmodel").read_text()
        assert f"  {flavor}:\n" in text
        if "booster" not in name:
            assert "signature:\n" in text, name
            assert "type: dataframe" in text, name
            (dataset,) = runs_of(server)[name]["inputs"]["dataset_inputs"]
            assert len(dataset["dataset"]["digest"]) == 16
    digests = {
        runs_of(server)[name]["inputs"]["dataset_inputs"][0]["dataset"]["digest"]
        for name in ("sklearn linear", "xgboost estimator", "lightgbm estimator", "statsmodels")
    }
    assert len(digests) == 1  # the same data is known again


FAILING = """
import warnings
import flowrun, sklearn.linear_model as linear
import sklearn.metrics
{change}
flowrun.autolog()
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    try:
        model = linear.Ridge().fit({data}, [1.0, 2.0])
        print("fitted", model.coef_.shape)
    except ValueError as error:
        print("ValueError", str(error)[:12])
print(*sorted({{str(item.message)[:34] for item in said}}), sep="\\n")
"""
UNKNOWN = {
    "a function of the library is gone": (
        "sklearn.metrics.r2_score = None",
        "[[1.0], [2.0]]",
        ["fitted (1,)", "autologging of metrics failed: 'No"],
    ),
    "the server is gone": (
        "flowrun.set_tracking_uri('http://127.0.0.1:9')",
        "[[1.0], [2.0]]",
        ["fitted (1,)", "autologging of a run failed: can't"],
    ),
    "the training fails": ("", "[['x'], ['y']]", ["ValueError could not co", ""]),
}


@pytest.mark.parametrize(("change", "data", "said"), UNKNOWN.values(), ids=UNKNOWN)
def test_a_training_ends_as_it_would_whatever_logging_does(
    server: Served, tmp_path: Path, change: str, data: str, said: list[str]
) -> None:
    done = run(server, tmp_path, "-c", FAILING.format(change=change, data=data))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == said


def test_nothing_is_logged_once_it_is_turned_off(server: Served, tmp_path: Path) -> None:
    before = len(runs_of(server))
    script = (
        "import flowrun; flowrun.autolog(); flowrun.sklearn.autolog(disable=True)\n"
        "import sklearn.linear_model as linear, sklearn.preprocessing as pre\n"
        "linear.Ridge().fit([[1.0], [2.0]], [1.0, 2.0])\n"
        "flowrun.autolog()\n"
        "pre.StandardScaler().fit([[1.0], [2.0]])\n"
    )
    done = run(server, tmp_path, "-c", script)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(runs_of(server)) == before
