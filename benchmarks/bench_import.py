"""What an import costs: rows a second, from MLflow's database and from its files.

    python benchmarks/bench_import.py [--runs 1000] [--points 1000] [--folder DIR]

Both sources are made here, as MLflow's migrations and its file store lay them out. Beside them
`mlflow migrate-filestore`, which takes the same files into MLflow's own database.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

KEYS = 10
MLFLOW = Path(sys.executable).with_name("mlflow")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--points", type=int, default=1000, help="of each run, over 10 metrics")
    parser.add_argument("--folder", type=Path, default=None)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        make_database(folder / "mlflow.db", given.runs, given.points)
        make_files(folder / "mlruns", given.runs, given.points)
        rows = given.runs * given.points
        show("flowrun, database", rows, flowrun(folder, "sqlite:///mlflow.db"))
        show("flowrun, database, nothing new", rows, flowrun(folder, "sqlite:///mlflow.db"))
        shutil.rmtree(folder / "home")
        show("flowrun, files", rows, flowrun(folder, "mlruns"))
        words = ["migrate-filestore", "--source", "mlruns", "--target", "sqlite:///new.db"]
        show("mlflow, files, not compared", rows, timed(folder, [MLFLOW, *words]))


def flowrun(folder: Path, source: str) -> float:
    """Import a source and compare both sides; give the seconds."""
    return timed(folder, [sys.executable, "-m", "flowrun", "import", "mlflow", source])


def timed(folder: Path, words: list[str | Path]) -> float:
    """Run a command to its end; give the seconds."""
    variables = {"FLOWRUN_HOME": str(folder / "home"), "MLFLOW_ALLOW_FILE_STORE": "true"}
    began_s = time.perf_counter()
    subprocess.run(
        words, cwd=folder, check=True, capture_output=True, env={**os.environ, **variables}
    )
    return time.perf_counter() - began_s


def show(what: str, rows: int, seconds: float) -> None:
    """Print one figure."""
    print(
        f"{what:34} {rows:>10,} rows {seconds:8.1f} s {rows / seconds:>10,.0f} rows/s", flush=True
    )


def make_database(path: Path, runs: int, points: int) -> None:
    """Let MLflow make a database, and fill it by SQL."""
    subprocess.run([MLFLOW, "db", "upgrade", f"sqlite:///{path}"], check=True, capture_output=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO experiments VALUES (1, 'e', '', 'active', 5, 5, 'default')")
        for number in range(runs):
            run_id = f"{number:032x}"
            connection.execute(
                "INSERT INTO runs (run_uuid, name, status, start_time, end_time, lifecycle_stage,"
                " artifact_uri, experiment_id) VALUES (?, 'r', 'FINISHED', 1, 2, 'active', '', 1)",
                (run_id,),
            )
            connection.executemany(
                "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan)"
                " VALUES (?, ?, ?, ?, ?, 0)",
                ((f"m{i % KEYS}", i / 7, 1000 + i, run_id, i // KEYS) for i in range(points)),
            )
            connection.executemany(
                "INSERT INTO params (key, value, run_uuid) VALUES (?, '1', ?)",
                ((f"p{i}", run_id) for i in range(KEYS)),
            )
        connection.commit()


def make_files(folder: Path, runs: int, points: int) -> None:
    """Write a file store as MLflow does."""
    meta = "artifact_location: ''\ncreation_time: 5\nexperiment_id: '1'\nlast_update_time: 5\n"
    write(folder / "1" / "meta.yaml", f"{meta}lifecycle_stage: active\nname: e\n")
    for number in range(runs):
        run = folder / "1" / f"{number:032x}"
        write(
            run / "meta.yaml",
            f"artifact_uri: ''\nend_time: 2\nexperiment_id: '1'\nlifecycle_stage: active\n"
            f"run_id: {run.name}\nrun_name: r\nrun_uuid: {run.name}\nstart_time: 1\nstatus: 3\n"
            "source_name: ''\nsource_type: 4\nentry_point_name: ''\ntags: []\nuser_id: u\n",
        )
        (run / "artifacts").mkdir()
        for key in range(KEYS):
            lines = (f"{1000 + i} {i / 7} {i // KEYS}\n" for i in range(key, points, KEYS))
            write(run / "metrics" / f"m{key}", "".join(lines))
            write(run / "params" / f"p{key}", "1")


def write(path: Path, text: str) -> None:
    """Write a file, its folder made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


if __name__ == "__main__":
    main()
