"""Sweeps with real processes and stores: grids, Optuna, failures, signals, and going on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.test_examples import files_of
from tests.support.space import Space
from tests.support.waiting import until

LOCAL = ("--env-manager", "local")
EXAMPLE = Path(__file__).parents[2] / "examples" / "sweep"

COMMAND = """\
name: bowl
entry_points:
  main:
    parameters: {x: {type: float, max: 10}, k: {type: int, default: 1}}
    command: |
      test {x} != 3 && echo "{{\\"loss\\": $(python -c 'import sys; print((float(sys.argv[1]) - 2) ** 2)' {x})}}" > m.json
    metrics: m.json
"""  # noqa: E501

WAITING = """\
name: waiting
entry_points:
  main:
    parameters: {x: int}
    command: |
      touch $HERE/began-{x}; until [ {x} = 1 ] || [ -e $HERE/go ]; do sleep 0.05; done
      echo "{{\\"loss\\": {x}}}" > m.json
    metrics: m.json
"""


def test_a_grid_is_one_run_with_a_child_for_each_trial_and_tells_the_best(space: Space) -> None:
    space.write({"p/MLproject": COMMAND})
    words = ("p", *LOCAL, "-S", "x=1,2,3", "-P", "k=5", "--metric", "loss")
    shown = space.flowrun("sweep", *words, "-j", "2").out
    assert "best main[x=2] with loss 0: -P x=2\n" in shown
    assert "main[x=3]  failed" in shown
    parent, *_ = space.flowrun("runs", "list", "--json").json()
    children = [
        run for run in space.runs() if run["tags"].get("mlflow.parentRunId") == parent["run_id"]
    ]
    assert sorted((run["params"]["x"], run["status"]) for run in children) == [
        *(("1", "FINISHED"), ("2", "FINISHED"), ("3", "FAILED"))
    ]
    assert parent["status"] == "FINISHED"
    assert parent["params"] == {"k": "5"}
    assert parent["tags"]["flowrun.sweep"] == "grid"
    assert parent["tags"]["flowrun.sweep.best_run"] == space.run_of("main[x=2]")["run_id"]

    again = space.flowrun("sweep", *words, "--json", "--mode", "max").json()
    assert again["trials"][0]["run_id"] == space.run_of("main[x=1]")["run_id"]
    assert again["best"]["values"] == {"x": "1"}  # of 1 and 2, with losses of 1 and 0
    assert len(space.runs()) == 4 + 2  # what finished was reused; what failed was tried again


def test_a_sweep_in_which_nothing_finishes_has_failed(space: Space) -> None:
    space.write({"p/MLproject": COMMAND})
    done = space.flowrun("sweep", "p", *LOCAL, "-S", "x=3", code=1)
    assert "no trial finished (1 failed)" in done.out
    done = space.flowrun("sweep", "p", *LOCAL, "-S", "x=1", "--metric", "rmse", code=1)
    assert "no trial has a number for metric 'rmse'; logged are loss.\n" in done.out
    done = space.flowrun("sweep", "p", *LOCAL, "-S", "x=1", "--metric", "los", code=1)
    assert "logged are loss. Did you mean 'loss'?\n" in done.out


@pytest.mark.slow
def test_a_pipeline_is_swept_with_optuna_and_each_trial_has_a_run_over_its_steps(
    space: Space,
) -> None:
    space.write({f"s/{name}": text for name, text in files_of(EXAMPLE).items()})
    done = space.flowrun(
        *("sweep", "s", *LOCAL, "--space", "s/space.yaml", "-S", "degree=1,3", "--trials", "4"),
        *("--sampler", "tpe", "--seed", "3", "--metric", "error", "--json"),
    ).json()
    best = done["best"]
    assert best["values"]["degree"] == "3"
    assert [trial["state"] for trial in done["trials"]] == ["finished"] * 4
    runs = {run["run_id"]: run for run in space.runs()}
    trial = runs[best["run_id"]]
    assert trial["tags"]["mlflow.parentRunId"] == done["run_id"]
    assert trial["metrics"]["error"] == best["value"]
    assert trial["params"]["degree"] == "3"
    below = [
        run for run in runs.values() if run["tags"].get("mlflow.parentRunId") == trial["run_id"]
    ]
    assert {run["tags"]["flowrun.step"].partition("/")[2] for run in below} >= {
        *("fit[fold-1.json]", "fit[fold-4.json]", "score")
    }


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill -9"])
def test_a_sweep_that_was_ended_goes_on_without_its_finished_trials(
    space: Space, number: signal.Signals
) -> None:
    space.write({"p/MLproject": WAITING})
    here = str(space.path)
    words = ("p", *LOCAL, "-S", "x=1..4", "--metric", "loss", "--no-cache", "-j", "1")
    process = space.start("sweep", *words, HERE=here)
    until((space.path / "began-2").exists, what="the second trial")
    os.kill(process.pid, number)
    process.communicate(timeout=60)
    assert process.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL)
    assert (
        "To go on with it: flowrun sweep --resume" in space.flowrun("resume", "latest", code=2).err
    )
    assert "is a sweep" in space.flowrun("run", "runs:/latest", code=2).err
    space.write({"go": ""})
    done = space.flowrun("sweep", "--resume", "latest", "--json", HERE=here).json()
    assert [(trial["values"]["x"], trial["state"]) for trial in done["trials"]] == [
        *(("1", "finished"), ("2", "finished"), ("3", "finished"), ("4", "finished"))
    ]
    assert done["best"]["values"] == {"x": "1"}
    runs = space.runs()
    assert len([run for run in runs if run["tags"].get("flowrun.step") == "main[x=1]"]) == 1
    assert {run["status"] for run in runs} == {"FINISHED", "KILLED"}
    assert "FINISHED" in space.flowrun("sweep", "--resume", "latest", code=2).err


WRONG = {
    "nothing to try": ((), "For instance: -S lr=0.1,0.2"),
    "both": (("-S", "x=1", "-P", "x=2"), "parameter 'x' is swept, and given as well"),
    "misspelt": (("-S", "x=1", "-S", "kk=1"), "-S kk: entry point 'main' has no parameter 'kk'."),
    "out of range": (("-S", "x=1,11"), "-S x: '11' is more than 10"),
    "in a file": (("--space", "space.yaml"), "space.yaml:1:1: x: '99.0' is more than 10"),
    "no end": (("-S", "x=0..1"), "--sampler random has no end: add --trials N"),
    "resume and more": (("--resume", "x", "-S", "x=1"), "--resume goes on with a sweep as it"),
    "no sweep": (("--resume", "0" * 32), "0" * 32),
}


@pytest.mark.parametrize(("words", "message"), WRONG.values(), ids=WRONG.keys())
def test_what_can_not_be_swept_is_told_before_any_run(
    space: Space, words: tuple[str, ...], message: str
) -> None:
    space.write({"p/MLproject": COMMAND, "space.yaml": "x: {low: 1, high: 99}\n"})
    uri = () if "--resume" in words else ("p",)
    done = space.flowrun("sweep", *uri, *words, code=None)
    assert message in done.err
    assert done.code in {2, 3}
    assert "Traceback" not in done.text
    assert space.runs() == []


def test_optuna_that_is_not_installed_is_asked_for(space: Space) -> None:
    shadow = "raise ModuleNotFoundError(\"No module named 'optuna'\", name='optuna')\n"
    space.write({"p/MLproject": COMMAND, "shadow/optuna/__init__.py": shadow})
    words = ("p", "-S", "x=0..1", "--trials", "2", "--metric", "loss", "--sampler", "tpe")
    done = space.flowrun("sweep", *words, code=None, PYTHONPATH=str(space.path / "shadow"))
    assert "pip install 'flowrun[optuna]'" in done.err
    assert space.runs() == []


PRUNED = """\
name: pruned
entry_points:
  main:
    parameters: {x: int}
    command: |
      python - {x} <<'PY'
      import sys, time
      import flowrun
      is_bad = sys.argv[1] == "6"
      for step in range(3):
          flowrun.log_metric("loss", 9 if is_bad else 1, step=step)
      time.sleep(600 * is_bad)
      PY
"""


@pytest.mark.slow
def test_a_trial_that_does_worse_than_the_others_is_ended(space: Space) -> None:
    space.write({"p/MLproject": PRUNED})
    words = ("-S", "x=1..6", "--metric", "loss", "--pruner", "median", "-j", "1", "--json")
    done = space.flowrun("sweep", "p", *LOCAL, *words).json()
    assert done["status"] == "FINISHED"
    assert [trial["state"] for trial in done["trials"]] == [*["finished"] * 5, "pruned"]
    assert done["trials"][5]["detail"] == "worse than others at step 2"
    assert space.run_of("main[x=6]")["status"] == "KILLED"


def test_a_program_sweeps_as_the_command_line_does(space: Space) -> None:
    space.write({"p/MLproject": COMMAND})
    code = """
import flowrun
asked = flowrun.SweepAsked({"x": [1, 2.0], "k": "1..2"}, parallel=1, metric="loss")
found = flowrun.sweep("p", asked, env_manager="local")
print(found.best.step_id, found.best.value, [dict(trial.values) for trial in found.trials][1])
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=space.path,
        env=space.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "main[x=2.0,k=1] 0.0 {'x': '1', 'k': '2'}\n", done.stderr
