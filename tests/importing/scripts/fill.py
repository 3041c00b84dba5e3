"""Fills the store at MLFLOW_TRACKING_URI with a bit of everything that a team has."""

import math

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from sklearn.linear_model import LinearRegression

client = MlflowClient()

mlflow.set_experiment("wine")
mlflow.set_experiment_tags({"team": "größe", "empty": ""})
frame = pd.DataFrame({"x": [1.0, 2.0, 3.0], "y": [2.0, 4.0, 6.0]})
dataset = mlflow.data.from_pandas(frame, source="s3://bucket/wine.csv", name="wine", targets="y")
with mlflow.start_run(run_name="parent – ünïcode ☃", description="long\nlines") as parent:
    mlflow.log_params({"alpha": 0.5, "long": "v" * 5000, "deep/name": "a\nb"})
    mlflow.log_input(dataset, context="training", tags={"kind": "tabular"})
    with mlflow.start_run(nested=True) as child:
        mlflow.log_metric("loss", 1.0, step=3)
        mlflow.set_tag("note", "ü" * 2000)
points = [Metric("loss", 1.0 / (step + 1), 1_000 + step, step) for step in range(500)]
points += [
    Metric("odd", math.nan, 5, 0),
    Metric("odd", math.inf, 6, 1),
    Metric("odd", -math.inf, 7, 2),
    Metric("odd", 2.0, 7, 2),
    Metric("odd", 2.0, 7, 2),
    Metric("odd", 3.0, 9, -1),
    Metric("deep/metric name", 1e-300, 1, 0),
    Metric("last is nan", 1.0, 1, 0),
    Metric("last is nan", math.nan, 2, 1),
]
client.log_batch(parent.info.run_id, points, [Param("p", "1")], [RunTag("t", "2")])

with mlflow.start_run(run_name="trained") as trained:
    model = LinearRegression().fit(frame[["x"]], frame["y"])
    info = mlflow.sklearn.log_model(
        model, name="model", input_example=frame[["x"]], registered_model_name="wine-model"
    )
    mlflow.log_metric("rmse", 0.25, step=0, model_id=info.model_id, dataset=dataset)
    mlflow.log_text("hällo", "texts/a b.txt")
    mlflow.log_dict({"a": 1}, "dict.json")
    mlflow.set_logged_model_tags(info.model_id, {"stage": "good"})
with mlflow.start_run(run_name="uses it"):
    used = [mlflow.entities.LoggedModelInput(info.model_id)]
    client.log_inputs(mlflow.active_run().info.run_id, models=used)


client.create_model_version(
    "wine-model", info.model_uri, run_id=trained.info.run_id, model_id=info.model_id
)
client.create_model_version(
    "wine-model", info.model_uri, run_id=trained.info.run_id, model_id=info.model_id
)
client.delete_model_version("wine-model", "3")
client.set_registered_model_alias("wine-model", "champion", "2")
client.set_model_version_tag("wine-model", "1", "checked", "ja ✓")
client.update_model_version("wine-model", "1", "the first")
client.set_registered_model_tag("wine-model", "owner", "ann")
client.update_registered_model("wine-model", "a model of wine")
for version, stage in (("1", "Archived"), ("2", "Production")):
    client.transition_model_version_stage("wine-model", version, stage)
client.create_registered_model("empty-model")

failed = client.create_run(client.get_experiment_by_name("wine").experiment_id)
client.set_terminated(failed.info.run_id, "FAILED")
deleted = client.create_run(client.get_experiment_by_name("wine").experiment_id)
client.delete_run(deleted.info.run_id)
gone = client.create_experiment("gone")
client.log_metric(client.create_run(gone).info.run_id, "m", 1.0)
client.delete_experiment(gone)
default = client.create_run("0")
client.log_param(default.info.run_id, "in", "default")
