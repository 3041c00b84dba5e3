"""Logging and loading models: `import flowrun` beside `import mlflow`, and the bare library.

    python -m benchmarks.bench_models [--rounds 5]

Both clients run in this environment, which has MLflow and the libraries of models, and speak to the
same `flowrun server`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.lab import VARIABLES, Tool
from benchmarks.report import Target, duration, print_table, print_targets
from benchmarks.servers import started

TIMES_FASTER, OVERHEAD = 5, 1.1
CLIENTS = ("flowrun", "mlflow")

TRAIN = """
import json, sys, time, warnings
import %(client)s as client
import lightgbm, xgboost
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier

x, y = load_breast_cancer(return_X_y=True, as_frame=True)
models = {
    "sklearn": GradientBoostingClassifier().fit(x, y),
    "xgboost": xgboost.XGBClassifier(n_estimators=500, n_jobs=1).fit(x, y),
    "lightgbm": lightgbm.train({"verbose": -1}, lightgbm.Dataset(x, y), 500),
}
# MLflow keeps no trees of scikit-learn without this.
more = {name: {} for name in models}
more["sklearn"]["skops_trusted_types"] = ["sklearn.tree._tree.Tree"]
"""

LOG = (
    TRAIN
    + """
taken = {}
with client.start_run():
    client.log_metric("accuracy", 0.9)
    for name, model in models.items():
        flavor, times = getattr(client, name), []
        for _ in range(2):
            began = time.perf_counter()
            flavor.log_model(model, name="model", input_example=x.head(5), **more[name])
            times.append(time.perf_counter() - began)
        taken[name] = times
print(json.dumps(taken))
"""
)

SAVE = (
    TRAIN
    + """
for name, model in models.items():
    folder = f"{sys.argv[1]}/{name}"
    getattr(client, name).save_model(model, folder, input_example=x.head(5), **more[name])
"""
)

LOAD = """
import gc, json, sys, time
import %(client)s as client
import lightgbm, skops.io, xgboost

folder = sys.argv[1]

def bare_sklearn():
    skops.io.load(f"{folder}/sklearn/model.skops", trusted=["sklearn.tree._tree.Tree"])

def bare_xgboost():
    xgboost.XGBClassifier().load_model(f"{folder}/xgboost/model.ubj")

def bare_lightgbm():
    lightgbm.Booster(model_file=f"{folder}/lightgbm/model.lgb")

def once(call):
    began = time.perf_counter()
    call()
    return time.perf_counter() - began

taken = {}
gc.disable()
for name, bare in [
    ("sklearn", bare_sklearn), ("xgboost", bare_xgboost), ("lightgbm", bare_lightgbm)
]:
    def flavored():
        getattr(client, name).load_model(f"{folder}/{name}")

    def predicting():
        client.pyfunc.load_model(f"{folder}/{name}")

    calls = (bare, flavored, predicting)
    for call in calls:
        call()
    samples = [[once(call) for call in calls] for _ in range(%(count)s)]
    taken[name] = [sorted(column)[len(column) // 2] for column in zip(*samples)]
print(json.dumps(taken))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="flowrun-bench-") as name:
        folder = Path(name)
        print("## Models\n")
        targets = [*_compare_logging(folder, rounds), *_compare_loading(folder)]
        print_targets(targets)


def _compare_logging(folder: Path, rounds: int) -> list[Target]:
    """Log three models with each client, in turns."""
    uri = f"sqlite:///{folder / 'store.db'}"
    with started(_here(folder), folder, uri) as server:
        samples = {
            client: [_measured(LOG % {"client": client}, folder, server.url) for _ in range(rounds)]
            for client in CLIENTS
        }
    medians = {
        client: {
            flavor: [statistics.median(s[flavor][call] for s in of_it) for call in (0, 1)]
            for flavor in of_it[0]
        }
        for client, of_it in samples.items()
    }
    rows = [
        (
            flavor,
            *(duration(medians[client][flavor][call]) for client in CLIENTS for call in (0, 1)),
        )
        for flavor in medians["flowrun"]
    ]
    header = (
        "`log_model` with an example",
        *(f"{c}, {n}" for c in CLIENTS for n in ("1st", "2nd")),
    )
    print_table(header, rows)
    targets = []
    for flavor, ours in medians["flowrun"].items():
        ratios = [m / o for m, o in zip(medians["mlflow"][flavor], ours, strict=True)]
        holds = min(ratios) >= TIMES_FASTER
        measured = f"{ratios[0]:.1f} and {ratios[1]:.1f} times"
        targets.append(Target(f"{flavor}: log_model {TIMES_FASTER} times faster", measured, holds))
    return targets


def _compare_loading(folder: Path) -> list[Target]:
    """Load what was saved to this machine: by the library alone, and by each client."""
    models = folder / "models"
    models.mkdir()
    _run(SAVE % {"client": "flowrun"}, folder, "", str(models))
    taken = {
        client: _measured(LOAD % {"client": client, "count": 100}, folder, "", str(models))
        for client in CLIENTS
    }
    rows = []
    targets = []
    for flavor, (bare_s, own_s, pyfunc_s) in taken["flowrun"].items():
        theirs = taken["mlflow"][flavor]
        times = (bare_s, own_s, pyfunc_s, theirs[1], theirs[2])
        rows.append((flavor, *map(duration, times)))
        ratio = own_s / bare_s
        promise = f"{flavor}: load_model within {OVERHEAD} times the library's own"
        targets.append(Target(promise, f"{ratio:.2f} times", ratio <= OVERHEAD))
    header = ("load", "library", "flowrun", "its pyfunc", "mlflow", "its pyfunc")
    print_table(header, rows)
    return targets


def _measured(script: str, folder: Path, url: str, *words: str) -> dict[str, list[float]]:
    output = _run(script, folder, url, *words)
    found: dict[str, list[float]] = json.loads(output.splitlines()[-1])
    return found


def _run(script: str, folder: Path, url: str, *words: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, *words],
        cwd=folder,
        env={**_here(folder).variables, "MLFLOW_TRACKING_URI": url or f"file:{folder / 'none'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode != 0:
        sys.exit(ended.stderr[-4000:])
    return ended.stdout


def _here(folder: Path) -> Tool:
    """Give flowrun as it is installed beside this interpreter."""
    prefix = Path(sys.prefix)
    path = f"{prefix / 'bin'}:{os.defpath}"
    return Tool("flowrun", "", prefix, {**VARIABLES, "HOME": str(folder), "PATH": path})


if __name__ == "__main__":
    main()
