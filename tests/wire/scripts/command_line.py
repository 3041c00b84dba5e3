"""The `mlflow` command line, command after command, as with MLFLOW_TRACKING_URI set in a shell."""

import csv
import io
import json
import re
import tempfile
from pathlib import Path

import mlflow
from click.testing import CliRunner
from mlflow.cli import cli
from mlflow.pyfunc import PythonModel

runner = CliRunner()


def run(*words: str) -> str:
    """Run a command that must succeed; give what it printed."""
    done = runner.invoke(cli, list(words))
    assert done.exit_code == 0, (words, done.output, done.exception)
    return done.stdout


def last_id(text: str) -> str:
    return re.findall(r"[0-9a-f]{32}|\d+", text)[-1]


def experiments() -> str:
    experiment_id = last_id(run("experiments", "create", "-n", "wine"))
    assert "wine" in run("experiments", "search")
    assert "wine" in run("experiments", "get", "--experiment-id", experiment_id)
    run("experiments", "rename", "-x", experiment_id, "--new-name", "beer")
    assert "beer" in run("experiments", "search")
    run("experiments", "delete", "-x", experiment_id)
    assert "beer" not in run("experiments", "search")
    assert "beer" in run("experiments", "search", "--view", "deleted_only")
    run("experiments", "restore", "-x", experiment_id)
    failed = runner.invoke(cli, ["experiments", "create", "-n", "beer"])
    assert failed.exit_code != 0
    assert "already exists" in str(failed.exception) + failed.output
    return experiment_id


def runs(experiment_id: str) -> str:
    mlflow.set_experiment(experiment_id=experiment_id)
    with mlflow.start_run(run_name="first") as started:
        mlflow.log_metric("loss", 0.5)
        mlflow.log_param("a", "1")
    run_id = str(started.info.run_id)
    assert run_id in run("runs", "list", "--experiment-id", experiment_id)
    told = json.loads(run("runs", "describe", "--run-id", run_id))
    assert told["data"]["params"] == {"a": "1"}, told
    run("runs", "delete", "--run-id", run_id)
    assert run_id not in run("runs", "list", "--experiment-id", experiment_id)
    run("runs", "restore", "--run-id", run_id)
    rows = list(csv.DictReader(io.StringIO(run("experiments", "csv", "-x", experiment_id))))
    assert [row["run_id"] for row in rows] == [run_id]
    assert rows[0]["metrics.loss"] == "0.5"
    told = run("runs", "create", "--experiment-id", experiment_id, "--run-name", "two")
    made = json.loads(told[told.index("{") :])  # after a line for people
    assert made["run_id"] in run("runs", "list", "--experiment-id", experiment_id)
    return run_id


def artifacts(run_id: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").mkdir()
        (folder / "in" / "f.txt").write_text("hello")
        file = str(folder / "in" / "f.txt")
        run("artifacts", "log-artifact", "--run-id", run_id, "-l", file, "-a", "one")
        run("artifacts", "log-artifacts", "--run-id", run_id, "-l", str(folder / "in"), "-a", "all")
        listed = json.loads(run("artifacts", "list", "--run-id", run_id))
        assert {item["path"] for item in listed} == {"one", "all"}, listed
        run("artifacts", "download", "--run-id", run_id, "-a", "all", "-d", str(folder / "out"))
        assert (folder / "out" / "all" / "f.txt").read_text() == "hello"


class Doubler(PythonModel):
    def predict(self, context: object, model_input: list[float]) -> list[float]:
        return [2 * value for value in model_input]


def models() -> None:
    with mlflow.start_run():
        mlflow.pyfunc.log_model(name="m", python_model=Doubler(), registered_model_name="doubler")
    with tempfile.TemporaryDirectory() as name:
        given, found = Path(name) / "in.json", Path(name) / "out.json"
        given.write_text('{"inputs": [1.0, 2.0]}')
        words = ("-m", "models:/doubler/1", "-i", str(given), "-o", str(found), "-t", "json")
        run("models", "predict", *words, "--env-manager", "local")
        assert json.loads(found.read_text()) == {"predictions": [2.0, 4.0]}
        run("models", "generate-dockerfile", "-m", "models:/doubler/1", "-d", f"{name}/docker")
        assert (Path(name) / "docker" / "Dockerfile").exists()


experiment = experiments()
artifacts(runs(experiment))
models()
print("all good")
