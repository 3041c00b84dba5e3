"""`flowrun runs diff`: what differs, and nothing else."""

from __future__ import annotations

import re
import shutil
from typing import Any

import pytest

from tests.e2e.projects import MODEL_PIPELINE, ONE_STEP, PIPELINE
from tests.envs.wheels import write_wheel
from tests.support.space import Space

LOCAL = ("--env-manager", "local")


def run_of(space: Space, *words: str) -> str:
    run_id: str = space.flowrun("run", "p", *LOCAL, "--json", *words).json()["run_id"]
    return run_id


def differing(told: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is the same."""
    return {name: (e["before"], e["after"]) for name, e in told.items() if not e["is_same"]}


def step_of(told: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [step for step in told["steps"] if step["before"] == name]
    return dict(found)


def test_parameters_code_inputs_outputs_and_metrics_are_compared(anywhere: Space) -> None:
    repository = anywhere.repository("p", PIPELINE)
    before = run_of(anywhere)
    (repository.path / "words.txt").write_text("plum\nfig\n")
    after = run_of(anywhere, "-P", "lr=0.5")
    told = anywhere.flowrun("runs", "diff", before, after, "--json").json()
    assert differing(told["params"]) == {"lr": ("0.3", "0.5")}
    assert set(differing(told["facts"])) == {"tree", "uncommitted"}
    assert [file["path"] for file in told["code"]["files"]] == ["words.txt"]
    assert "+plum" in told["code"]["patch"]
    assert told["environments"] == []
    train = step_of(told, "train[lr=0.3]")
    assert train["after"] == "train[lr=0.5]"
    assert differing(train["metrics"]) == {"loss": (0.3, 0.5)}
    assert set(differing(train["inputs"])) == {"table"}
    assert set(differing(train["outputs"])) == {"result"}
    assert differing(step_of(told, "train[lr=0.1]")["params"]) == {}

    shown = anywhere.flowrun("runs", "diff", before, after).out
    for line in (
        r"^before +[0-9a-f]{32} .* FINISHED",
        r"^  lr  0\.3  ->  0\.5$",
        r"^  changed  words\.txt  \+1 -2",
        r"^\+plum$",
        r"^step train\[lr=0\.3\] -> train\[lr=0\.5\]$",
        r"^    loss  0\.3  ->  0\.5  \+0\.2 \(\+66\.67%\)$",
        r"^    table  sha256:[0-9a-f]{12} 15 bytes  ->  sha256:[0-9a-f]{12} \d+ bytes$",
    ):
        assert re.search(line, shown, re.MULTILINE), (line, shown)
    assert "status" not in shown


def test_two_runs_of_the_same_differ_in_nothing(space: Space) -> None:
    """Ids of runs and models, times and working directories are new each time."""
    space.repository("p", MODEL_PIPELINE)
    before = run_of(space)
    space.flowrun("run", "p", *LOCAL)
    shown = space.flowrun("runs", "diff", before[:12], "latest").out
    told = space.flowrun("runs", "diff", before, "latest", "--json").json()
    differences = [
        (step["before"], part, differing(step[part]))
        for step in told["steps"]
        for part in ("facts", "params", "inputs", "outputs", "metrics")
        if differing(step[part])
    ]
    # The second version of the model has another number: nothing else is new.
    assert {name for name, _, _ in differences} <= {"register", "promote"}
    assert "step train" not in shown
    assert "step train the same" in space.flowrun("runs", "diff", before, "latest", "--all").out


def test_the_same_run_differs_in_nothing(space: Space) -> None:
    space.repository("p", ONE_STEP)
    run = run_of(space)
    assert "Nothing that was recorded differs." in space.flowrun("runs", "diff", run, run).out


@pytest.mark.slow
def test_packages_that_differ_are_told_once_for_all_steps(space: Space) -> None:
    pinned = PIPELINE["MLproject"].replace("name: pipe", "name: pipe\npython_env: env.yaml")
    python = "dependencies:\n- {}\n"
    wheel = space.path / "wheels"
    for version in ("1.0", "2.0"):
        write_wheel(wheel, "demo_pkg", version)
    first = python.format("demo-pkg==1.0")
    space.repository("p", {**PIPELINE, "MLproject": pinned, "env.yaml": first})
    offline = Space(space.path, {"UV_FIND_LINKS": str(wheel), "UV_NO_INDEX": "1"})
    before = offline.flowrun("run", "p", "--json").json()["run_id"]
    space.write({"p/env.yaml": python.format("demo-pkg==2.0")})
    after = offline.flowrun("run", "p", "--json").json()["run_id"]
    (environment,) = space.flowrun("runs", "diff", before, after, "--json").json()["environments"]
    assert environment["backends"] == ["virtualenv", "virtualenv"]
    assert set(environment["steps"]) >= {"prepare", "train[lr=0.1]", "report"}
    assert differing(environment["packages"]) == {"demo-pkg": ("1.0", "2.0")}
    shown = space.flowrun("runs", "diff", before, after).out
    assert re.search(r"^environment of prepare, .* and 1 more \(virtualenv\)$", shown, re.MULTILINE)
    assert re.search(r"^  demo-pkg  1\.0  ->  2\.0$", shown, re.MULTILINE)


def test_steps_that_only_one_run_has_are_told(space: Space) -> None:
    repository = space.repository("p", PIPELINE)
    before = run_of(space)
    text = PIPELINE["MLproject"].partition("      report:")[0]
    repository.commit({"MLproject": text + "      other: {run: echo hello}\n"})
    after = run_of(space)
    shown = space.flowrun("runs", "diff", before, after).out
    assert "step report only before" in shown
    assert "step other only after" in shown
    assert re.search(r"^  commit  [0-9a-f]{40}  ->  [0-9a-f]{40}$", shown, re.MULTILINE)


def test_code_that_can_not_be_had_again_is_told_and_the_rest_compared(space: Space) -> None:
    repository = space.repository("p", PIPELINE)
    bare = repository.bare(space.path / "gone.git")
    words = ("run", bare.url, *LOCAL, "--json")
    before = space.flowrun(*words).json()["run_id"]
    repository.commit({"words.txt": "plum\n"})
    repository.git("push", "--quiet", str(bare.path), "HEAD:main")
    after = space.flowrun(*words, "-P", "lr=0.5").json()["run_id"]
    shutil.rmtree(bare.path)
    for path in (space.home / "cache" / "sources").iterdir():
        shutil.rmtree(path)
    done = space.flowrun("runs", "diff", before, after)
    assert re.search(r"can't be compared: .*gone\.git: its code \(commit [0-9a-f]{40}\)", done.out)
    assert re.search(r"^  lr  0\.3  ->  0\.5$", done.out, re.MULTILINE)


def test_names_of_others_drive_no_terminal(space: Space) -> None:
    space.repository("p", {**ONE_STEP, "a.txt": "x\n"})
    before = run_of(space)
    space.write({"p/a.txt": "\x1b[2J[bold]y\n"})
    after = run_of(space, "-P", "alpha=0.7", "--run-name", "\x1b]0;evil\x07[red]")
    shown = space.flowrun("runs", "diff", before, after).out
    assert "\x1b" not in shown
    assert "[red]" in shown
    assert "+?[2J[bold]y" in shown


def test_a_run_that_is_not_there_is_wrong_input(space: Space) -> None:
    refused = space.flowrun("runs", "diff", "latest", "latest", code=2)
    assert "there is no run yet" in refused.err
