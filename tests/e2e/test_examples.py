"""The examples, run as their readers would run them, with real environments and clients."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.space import Space
from tests.support.waiting import until

EXAMPLES = Path(__file__).parents[2] / "examples"
TOLD = r"flowrun serves at (http://\S+)"

pytestmark = pytest.mark.slow


def files_of(folder: Path) -> dict[str, bytes]:
    """Give an example's files, without what running it may have left."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture
def served(space: Space) -> Iterator[str]:
    """Give the URL of a `flowrun server` over the space's store."""
    process = space.start("server", "--port", "0")
    lines: list[str] = []

    def is_ready() -> bool:
        assert process.stdout is not None
        lines.append(process.stdout.readline())
        return re.search(TOLD, lines[-1]) is not None

    until(is_ready, 30, "the server")
    yield re.findall(TOLD, lines[-1])[0]
    process.terminate()
    assert process.wait(20) == 0
    process.communicate()


def _python(space: Space, script: str, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        env=space.environment(**variables),
        cwd=space.path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_wine_quality_ends_in_a_promoted_model_version(space: Space) -> None:
    names = {
        f"examples/wine-quality/{n}": t for n, t in files_of(EXAMPLES / "wine-quality").items()
    }
    repository = space.repository("checkout", names)
    done = space.flowrun("run", f"{repository.url}#examples/wine-quality", "-P", "lr=0.2")
    for line in (
        r"prepare\s+succeeded .* rows.test 980, rows.train 3918",
        r"train\[lr=0.2\]\s+succeeded .* rmse 0\.\d+",
        r"best\s+succeeded .* train\[lr=0.2\] \(rmse 0\.\d+\)",
        r"evaluate\s+succeeded .* test_rmse 0\.\d+",
        r"register\s+succeeded .* wine-quality version 1",
        r"promote\s+succeeded .* wine-quality version 1 is now Production and champion",
        r"flowrun runs show [0-9a-f]{32}",
        r"flowrun models show wine-quality/1",
    ):
        assert re.search(line, done.out), line
    version = space.flowrun("models", "show", "wine-quality@champion", "--json").json()
    best = space.run_of("train[lr=0.2]")
    assert version["stage"] == "Production"
    assert version["run_id"] == best["run_id"]
    assert version["tags"]["flowrun.commit"] == repository.head
    assert version["tags"]["flowrun.env.key"] == best["tags"]["flowrun.env.key"]
    data = json.loads(space.run_of("prepare")["tags"]["flowrun.output.train_set"])["sha256"]
    assert json.loads(version["tags"]["flowrun.input.data"])["sha256"] == data
    assert float(version["tags"]["test_rmse"]) == pytest.approx(
        space.run_of("evaluate")["metrics"]["test_rmse"]
    )

    verified = space.flowrun("verify", "latest", "--reuse-envs", "--json").json()
    assert {step["id"] for step in verified["steps"] if step["verdict"] != "same"} == {
        "register",
        "promote",
    }

    again = space.flowrun("run", f"{repository.url}#examples/wine-quality", "-P", "lr=0.2")
    assert "building" not in again.out
    assert "promote | skipped - its condition is not met" in again.out


def test_a_plain_mlproject_of_mlflow_runs_unchanged_and_its_model_loads(
    space: Space, served: str
) -> None:
    repository = space.repository("work", files_of(EXAMPLES / "plain-mlproject"))
    bare = repository.bare(space.path / "repo.git")
    space.flowrun("run", bare.url, "-P", "alpha=0.3")
    [run] = space.runs()
    assert run["status"] == "FINISHED"
    assert run["params"] == {"alpha": "0.3", "l1_ratio": "0.1"}
    assert set(run["metrics"]) == {"rmse", "mae", "r2"}
    assert run["tags"]["mlflow.project.env"] == "virtualenv"
    assert "gives the same again" in space.flowrun("verify", run["run_id"], "-q").out
    shown = space.flowrun("runs", "show", run["run_id"]).out
    for fact in ("alpha", "rmse", repository.head, "peak memory", "cpu time", "logged model"):
        assert fact in shown
    lock = next(space.home.glob("artifacts/*/*/artifacts/flowrun/environment.lock")).read_text()
    assert re.search(r"scikit-learn==.*--hash=sha256:", lock.replace("\\\n", ""))

    script = f"""
import mlflow
model = mlflow.sklearn.load_model("runs:/{run["run_id"]}/model")
print(type(model).__name__, model.alpha)
mlflow.register_model("runs:/{run["run_id"]}/model", "diabetes")
print(mlflow.pyfunc.load_model("models:/diabetes/1").metadata.run_id)
"""
    printed = _python(space, script, MLFLOW_TRACKING_URI=served)
    assert printed.split() == ["ElasticNet", "0.3", run["run_id"]]


def test_the_extended_file_runs_entry_point_by_entry_point_under_mlflow(space: Space) -> None:
    space.write(
        {f"wine/{name}": text for name, text in files_of(EXAMPLES / "wine-quality").items()}
    )
    mlflow = (sys.executable, "-m", "mlflow", "run", "--env-manager", "local")
    variables = space.environment(
        MLFLOW_TRACKING_URI=f"sqlite:///{space.path}/mlflow.db",
        FLOWRUN_OUTPUT=str(space.path / "output"),
        PATH=f"{Path(sys.executable).parent}:{space.environment()['PATH']}",
    )
    for words in (
        ("-e", "prepare", "-P", "source=wine/wine-quality.csv", "wine"),
        ("-e", "train", "-P", "data=wine/data/train.csv", "-P", "rounds=5", "wine"),
    ):
        done = subprocess.run(
            [*mlflow, *words],
            cwd=space.path,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "succeeded" in done.stderr
    assert (space.path / "wine/data/train.csv").exists()


def test_init_makes_a_pipeline_that_works(space: Space) -> None:
    space.flowrun("init", "mine")
    assert "└─ prepare" in space.flowrun("plan", "mine").out
    done = space.flowrun("run", "mine", "-P", "alpha=0.3")
    assert "mine version 1 is now Production" in done.out
    assert "gives the same again" in space.flowrun("verify", "latest", "--reuse-envs").out
    assert "not empty" in space.flowrun("init", "mine", code=2).err
