"""Runs with the genuine client's fluent API: everything that a training script logs."""

import math
import os
import tempfile
from pathlib import Path

import matplotlib as mpl

mpl.use("agg")
import matplotlib.pyplot as plt
import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

STEP_RUN = os.environ.pop("STEP_RUN_ID")


def adopts_the_steps_run() -> None:
    os.environ["MLFLOW_RUN_ID"] = STEP_RUN
    with mlflow.start_run() as run:
        assert run.info.run_id == STEP_RUN
        mlflow.log_param("alpha", 0.3)
        mlflow.log_params({"l1": 1, "name": "größe"})
        mlflow.set_tag("kind", "wine")
        mlflow.set_tags({"a": "1", "b": "2"})
        for step in range(5):
            mlflow.log_metric("loss", 1 / (step + 1), step=step)
        mlflow.log_metrics({"rmse": 0.5, "r2": 0.9}, step=3)
        mlflow.log_metric("odd", math.nan)
        with mlflow.start_run(nested=True, run_name="child") as child:
            mlflow.log_metric("inner", 1)
    read = mlflow.get_run(STEP_RUN)
    assert read.info.status == "FINISHED"
    assert read.data.params == {"alpha": "0.3", "l1": "1", "name": "größe"}
    assert read.data.metrics["loss"] == 0.2
    assert math.isnan(read.data.metrics["odd"])
    assert read.data.tags["kind"] == "wine"
    inner = mlflow.get_run(child.info.run_id)
    assert inner.info.run_name == "child"
    assert inner.data.tags["mlflow.parentRunId"] == STEP_RUN
    history = MlflowClient().get_metric_history(STEP_RUN, "loss")
    assert [(m.step, m.value) for m in history] == [(n, 1 / (n + 1)) for n in range(5)]


def stores_artifacts() -> None:
    with mlflow.start_run() as run, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "deep" / "er").mkdir(parents=True)
        (folder / "a.txt").write_text("alpha")
        (folder / "deep" / "er" / "b c.bin").write_bytes(bytes(range(256)) * 40_000)
        (folder / "empty").touch()
        mlflow.log_artifact(str(folder / "a.txt"))
        mlflow.log_artifacts(str(folder), artifact_path="all")
        mlflow.log_text("hello", "notes/ä.txt")
        mlflow.log_dict({"a": [1, 2]}, "config.json")
        mlflow.log_dict({"a": [1, 2]}, "config.yaml")
        mlflow.log_table({"x": [1, 2]}, "table.json")
        figure, axes = plt.subplots()
        axes.plot([1, 2])
        mlflow.log_figure(figure, "plots/figure.png")
        plt.close(figure)
    client = MlflowClient()
    run_id = run.info.run_id
    top = {item.path: item.is_dir for item in client.list_artifacts(run_id)}
    assert top == {
        "a.txt": False,
        "all": True,
        "config.json": False,
        "config.yaml": False,
        "notes": True,
        "plots": True,
        "table.json": False,
    }, top
    below = {item.path: item.file_size for item in client.list_artifacts(run_id, "all")}
    assert below == {"all/a.txt": 5, "all/deep": None, "all/empty": 0} or below == {
        "all/a.txt": 5,
        "all/deep": 0,
        "all/empty": 0,
    }, below
    assert client.list_artifacts(run_id, "nowhere") == []
    assert mlflow.artifacts.load_text(f"runs:/{run_id}/notes/ä.txt") == "hello"
    assert mlflow.artifacts.load_dict(f"runs:/{run_id}/config.json") == {"a": [1, 2]}
    assert list(mlflow.load_table("table.json", run_ids=[run_id])["x"]) == [1, 2]
    with tempfile.TemporaryDirectory() as name:
        path = mlflow.artifacts.download_artifacts(
            artifact_uri=f"runs:/{run_id}/all", dst_path=name
        )
        assert (Path(path) / "deep" / "er" / "b c.bin").read_bytes() == bytes(range(256)) * 40_000
        assert (Path(path) / "empty").read_bytes() == b""
    artifacts = mlflow.artifacts.list_artifacts(run_id=run_id, artifact_path="plots")
    assert [item.path for item in artifacts] == ["plots/figure.png"]


def logs_inputs() -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0], "y": [0, 1]})
    dataset = mlflow.data.from_pandas(frame, source="wine.csv", name="wine", targets="y")
    with mlflow.start_run() as run:
        mlflow.log_input(dataset, context="training")
    (found,) = mlflow.get_run(run.info.run_id).inputs.dataset_inputs
    assert found.dataset.name == "wine"
    assert found.dataset.digest == dataset.digest
    assert {tag.key: tag.value for tag in found.tags} == {"mlflow.data.context": "training"}


def searches() -> None:
    experiment = mlflow.set_experiment("search me")
    for lr in (0.1, 0.5, 1.0):
        with mlflow.start_run(run_name=f"lr {lr}"):
            mlflow.log_param("lr", lr)
            mlflow.log_metric("rmse", lr * 2)
    frame = mlflow.search_runs(filter_string="metrics.rmse < 1.5", order_by=["metrics.rmse DESC"])
    assert list(frame["params.lr"]) == ["0.5", "0.1"]
    runs = mlflow.search_runs(experiment_names=["search me"], max_results=1, output_format="list")
    assert [run.data.params["lr"] for run in runs] == ["1.0"]
    client = MlflowClient()
    page = client.search_runs([experiment.experiment_id], max_results=2)
    rest = client.search_runs([experiment.experiment_id], max_results=2, page_token=page.token)
    assert (len(page), len(rest), rest.token) == (2, 1, None)


def logs_in_the_background() -> None:
    with mlflow.start_run() as run:
        for step in range(300):
            mlflow.log_metric("async", step, step=step, synchronous=False)
        mlflow.flush_async_logging()
    assert len(MlflowClient().get_metric_history(run.info.run_id, "async")) == 300


def shows_errors_by_their_code() -> None:
    with mlflow.start_run():
        mlflow.log_param("a", 1)
        for code, call in {
            "INVALID_PARAMETER_VALUE": lambda: mlflow.log_param("a", 2),
            "RESOURCE_DOES_NOT_EXIST": lambda: mlflow.get_run("0" * 32),
            "RESOURCE_ALREADY_EXISTS": lambda: mlflow.create_experiment("Default"),
        }.items():
            try:
                call()
            except MlflowException as error:
                assert error.error_code == code, (error.error_code, error.message)
            else:
                raise AssertionError(f"no {code}")


adopts_the_steps_run()
stores_artifacts()
logs_inputs()
searches()
logs_in_the_background()
shows_errors_by_their_code()
print("all good")
