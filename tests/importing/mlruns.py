"""A small store in MLflow's files, written as MLflow writes them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

RUN = "a" * 32
OTHER_RUN = "b" * 32


def write_store(folder: Path, runs: tuple[str, ...] = (RUN, OTHER_RUN)) -> Path:
    """Write an experiment with runs, each with a metric and a file; give the store's folder."""
    write(
        folder,
        {
            "0/meta.yaml": experiment("0", "Default", folder),
            "7/meta.yaml": experiment("7", "wine", folder),
            "7/tags/team": "blue",
        },
    )
    for run_id in runs:
        write(folder / "7" / run_id, run_files(run_id, folder))
    return folder


def experiment(experiment_id: str, name: str, folder: Path) -> str:
    """Give an experiment's `meta.yaml`."""
    return (
        f"artifact_location: file://{folder}/{experiment_id}\n"
        "creation_time: 1700000000000\n"
        f"experiment_id: '{experiment_id}'\n"
        "last_update_time: 1700000000001\n"
        f"lifecycle_stage: active\nname: {name}\n"
    )


def run_files(run_id: str, folder: Path, artifact_uri: str | None = None) -> dict[str, str]:
    """Give the files of a run."""
    uri = artifact_uri or f"file://{folder}/7/{run_id}/artifacts"
    return {
        "meta.yaml": (
            f"artifact_uri: {uri}\nend_time: 1700000000500\nentry_point_name: ''\n"
            f"experiment_id: '7'\nlifecycle_stage: active\nrun_id: {run_id}\n"
            f"run_name: run-{run_id[0]}\n"
            f"run_uuid: {run_id}\nsource_name: ''\nsource_type: 4\nsource_version: ''\n"
            "start_time: 1700000000100\nstatus: 3\ntags: []\nuser_id: ann\n"
        ),
        "metrics/loss": "1700000000200 0.5 0\n1700000000201 nan 1\n1700000000201 0.25 1\n",
        "params/alpha": "0.1",
        "tags/mlflow.runName": f"run-{run_id[0]}",
        "artifacts/model/weights.txt": "1 2 3",
    }


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Write files, their folders made."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
