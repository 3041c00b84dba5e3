"""The release of a model from its training to the rollback, as `examples/release` has it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.test_examples import EXAMPLES, files_of
from tests.support.repositories import Repository
from tests.support.scoring import scoring
from tests.support.space import Space
from tests.support.waiting import until

NAME = "cell-samples"

pytestmark = pytest.mark.slow


@pytest.fixture
def space(tmp_path: Path) -> Space:
    return Space(tmp_path, {"LOGNAME": "ada"})


@pytest.fixture
def repository(space: Space) -> Repository:
    """The example, with a first version released by bob's approval and a second by cleo's."""
    repository = space.repository("release", files_of(EXAMPLES / "release"))
    first = space.flowrun("run", "release", "-P", "rounds=20", code=4)
    assert f"pending        {NAME}/1 to Production and @champion waits for an approval" in first.out
    space.flowrun("models", "approve", f"{NAME}/1", "--comment", "limits held", LOGNAME="bob")
    waiting = space.start("run", "release", "--wait-approval", "forever")
    until(lambda: f"{NAME}/2" in space.flowrun("models", "requests").out, 120, "the request")
    assert waiting.poll() is None
    space.flowrun("models", "approve", f"{NAME}/2", "--comment", "more rounds", LOGNAME="cleo")
    out, err = waiting.communicate(timeout=60)
    assert waiting.returncode == 0, out + err
    return repository


def test_a_release_is_approved_served_traced_and_taken_back(
    space: Space, repository: Repository
) -> None:
    example = json.loads(next(space.home.glob("artifacts/**/input_example.json")).read_text())
    place = {"FLOWRUN_HOME": str(space.home)}
    with scoring(space.path, f"models:/{NAME}@champion", manager="virtualenv", **place) as server:
        answer = server.ask({"dataframe_split": example})
    assert answer.status == 200, answer.body
    assert len(answer.json["predictions"]) == len(example["data"])
    assert set(answer.json["predictions"]) <= {0, 1}

    version = space.flowrun("models", "show", f"{NAME}@champion", "--json").json()
    assert (version["version"], version["stage"]) == ("2", "Production")
    evaluation = space.run_of("evaluate")
    assert evaluation["metrics"]["accuracy_score"] >= 0.9
    assert "champion/accuracy_score" in evaluation["metrics"]
    assert float(version["tags"]["roc_auc"]) == pytest.approx(evaluation["metrics"]["roc_auc"])

    _check_lineage(space, repository)

    space.flowrun("models", "rollback", NAME, "--comment", "slow on mondays")
    version = space.flowrun("models", "show", f"{NAME}@champion", "--json").json()
    assert (version["version"], version["stage"]) == ("1", "Production")
    history = space.flowrun("models", "history", NAME).out
    for fact in ("bob", "limits held", "cleo", "more rounds", "slow on mondays"):
        assert fact in history


def _check_lineage(space: Space, repository: Repository) -> None:
    """From the version to all it came from, and from each of them back to the version."""
    said = space.flowrun("models", "lineage", f"{NAME}/2", "--json").json()
    train, split = said["steps"]
    assert (said["commit"], said["is_dirty"]) == (repository.head, False)
    assert (train["step"], split["step"]) == ("train", "split")
    assert train["params"]["rounds"] == "100"
    assert said["pipeline"]["entry_point"] == "main"
    runs = {run["run_id"]: run for run in space.runs()}
    assert runs[train["run_id"]]["tags"]["mlflow.parentRunId"] == said["pipeline"]["run_id"]
    lock = train["env"]["lock"].removeprefix(f"runs:/{said['pipeline']['run_id']}/")
    assert "scikit-learn==" in next(space.home.glob(f"artifacts/**/{lock}")).read_text()
    data = train["inputs"]["data"]["sha256"]
    for words in (("--commit", repository.head[:10]), ("--data", data)):
        found = space.flowrun("models", "lineage", *words, "--json").json()
        assert [row["version"] for row in found] == [f"{NAME}/1", f"{NAME}/2"]
