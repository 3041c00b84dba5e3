"""mlflow-skinny alone: no pandas, no numpy, no scikit-learn."""

import importlib.util
import tempfile
from pathlib import Path

import mlflow

assert importlib.util.find_spec("pandas") is None
with mlflow.start_run() as run, tempfile.TemporaryDirectory() as folder:
    mlflow.log_param("a", 1)
    mlflow.log_metrics({"b": 0.5, "c": 1.5}, step=1)
    mlflow.set_tag("t", "x")
    mlflow.log_text("hello", "hello.txt")
    (Path(folder) / "f.txt").write_text("f")
    mlflow.log_artifact(f"{folder}/f.txt")
read = mlflow.get_run(run.info.run_id)
assert read.data.metrics == {"b": 0.5, "c": 1.5}
assert mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/hello.txt") == "hello"
(found,) = mlflow.search_runs(filter_string="params.a = '1'", output_format="list")
assert found.info.run_id == run.info.run_id
print("all good")
