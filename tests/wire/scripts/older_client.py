"""What a training script of any MLflow client since 2.0 does, without pandas or scikit-learn."""

import os
import tempfile
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

assert mlflow.__version__ == os.environ["EXPECTED_VERSION"], mlflow.__version__
experiment = mlflow.set_experiment("old")
mlflow.set_experiment("old")
with mlflow.start_run(run_name="first") as run, tempfile.TemporaryDirectory() as folder:
    mlflow.log_param("a", 1)
    mlflow.log_params({"b": 2, "c": "x"})
    for step in range(3):
        mlflow.log_metric("loss", 1 / (step + 1), step=step)
    mlflow.log_metrics({"rmse": 0.5, "r2": 0.9})
    mlflow.set_tag("t", "x")
    mlflow.log_text("hello", "in/hello.txt")
    (Path(folder) / "f.txt").write_text("f")
    mlflow.log_artifacts(folder, "all")
    with mlflow.start_run(nested=True):
        mlflow.log_metric("inner", 1)
run_id = run.info.run_id
read = mlflow.get_run(run_id)
assert read.info.status == "FINISHED"
assert read.data.params == {"a": "1", "b": "2", "c": "x"}
assert read.data.metrics == {"loss": 1 / 3, "rmse": 0.5, "r2": 0.9}
client = MlflowClient()
assert [point.step for point in client.get_metric_history(run_id, "loss")] == [0, 1, 2]
assert [item.path for item in client.list_artifacts(run_id, "all")] == ["all/f.txt"]
with tempfile.TemporaryDirectory() as folder:
    path = client.download_artifacts(run_id, "in", folder)
    assert (Path(path) / "hello.txt").read_text() == "hello"
(found,) = client.search_runs([experiment.experiment_id], "params.a = '1'", order_by=["metrics.r2"])
assert found.info.run_id == run_id
try:
    client.log_param(run_id, "a", 2)
except MlflowException as error:
    assert "Changing param values is not allowed" in error.message, error.message
else:
    raise AssertionError("a param was changed")

client.create_registered_model("old")
client.create_model_version("old", f"{read.info.artifact_uri}/all", run_id)
client.set_model_version_tag("old", "1", "k", "v")
client.transition_model_version_stage("old", "1", "Production")
assert [version.version for version in client.get_latest_versions("old", ["Production"])] == ["1"]
if hasattr(client, "set_registered_model_alias"):
    client.set_registered_model_alias("old", "best", "1")
    assert client.get_model_version_by_alias("old", "best").version == "1"
(version,) = client.search_model_versions("name = 'old'")
assert version.tags == {"k": "v"}
client.delete_model_version("old", "1")
client.delete_registered_model("old")
client.delete_run(run_id)
assert client.get_run(run_id).info.lifecycle_stage == "deleted"
client.restore_run(run_id)
print("all good")
