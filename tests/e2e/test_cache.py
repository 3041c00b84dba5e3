"""The cache: what did the same is not run again, and what runs says why."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowrun.stores import open_stores
from tests.e2e.projects import MODEL_PIPELINE, PIPELINE
from tests.support.space import Space
from tests.support.waiting import until

LOCAL = ("--env-manager", "local")
TWO_STEPS = """\
name: two
entry_points:
  main:
    parameters:
      word: {type: string, default: pear}
      loud: {type: string, default: "no"}
    steps:
      make:
        run: "cat own.txt > out.txt && echo {word} >> out.txt && echo letters=4 >> $FLOWRUN_OUTPUT"
        with: {word: "${{ params.word }}"}
        outputs: {words: out.txt}
      use:
        run: "wc -l < {words}; echo {letters} {loud}"
        with:
          words: "${{ steps.make.outputs.words }}"
          letters: "${{ steps.make.outputs.letters }}"
          loud: "${{ params.loud }}"
"""


def ran(space: Space, *words: str, code: int = 0) -> dict[str, str]:
    """Run a project; give for each step `reused`, or why it ran (else how it ended)."""
    outcome = space.flowrun("run", *words, *LOCAL, "--json", code=code).json()
    return {step["id"]: _told(step) for step in outcome["steps"]}


def _told(step: dict[str, Any]) -> str:
    if step["reused_from"]:
        return "reused"
    return str(step["why"] or step["status"])


@pytest.fixture
def two(space: Space) -> Space:
    """Give a space with a project of two steps that ran once."""
    space.write({"p/MLproject": TWO_STEPS, "p/own.txt": "fig\n"})
    assert set(ran(space, "p").values()) == {"no finished run of it is known"}
    return space


def test_what_has_not_changed_is_reused_and_makes_no_run(two: Space) -> None:
    before = two.runs()
    done = two.flowrun("run", "p", *LOCAL)
    make = two.run_of("make")
    assert f"make | reused from run {make['run_id']}\n" in done.out
    assert "started" not in done.out
    [new] = [run for run in two.runs() if run not in before]
    assert new["status"] == "FINISHED"
    shown = two.flowrun("runs", "show", new["run_id"]).out
    [line] = [line for line in shown.splitlines() if line.lstrip().startswith("make")]
    assert line.split() == ["make", "reused", make["run_id"]]
    assert two.flowrun("runs", "logs", new["run_id"], "use").out == "2\n4 no\n"


def _touch(space: Space) -> None:
    os.utime(space.path / "p" / "own.txt")


def _move_away_and_back(space: Space) -> None:
    shutil.copytree(space.path / "p", space.path / "q")
    shutil.rmtree(space.path / "p")
    (space.path / "q").rename(space.path / "p")


def _reorder(space: Space) -> None:
    text = TWO_STEPS.replace(
        '        run: "wc', '        resources: {cpus: 1}\n        run: "wc'
    ).replace("name: two", "# a comment\nname: other")
    space.write({"p/MLproject": text})


SAME: dict[str, Callable[[Space], object]] = {
    "nothing": lambda _: None,
    "a file was touched": _touch,
    "the folder was copied": _move_away_and_back,
    "a comment, a name and resources in the project file": _reorder,
}


@pytest.mark.parametrize("change", SAME.values(), ids=SAME.keys())
def test_what_does_not_matter_changes_nothing(
    two: Space, change: Callable[[Space], object]
) -> None:
    change(two)
    assert ran(two, "p") == {"make": "reused", "use": "reused"}


CHANGED: dict[str, tuple[dict[str, str], tuple[str, ...], dict[str, str]]] = {
    "a parameter of the last step": (
        {},
        ("-P", "loud=yes"),
        {"make": "reused", "use": "parameter loud: no -> yes"},
    ),
    "a parameter of the first step": (
        {},
        ("-P", "word=plum"),
        {"make": "parameter word: pear -> plum", "use": "output of make changed"},
    ),
    "a file": (
        {"p/own.txt": "lime\n"},
        (),
        {
            "make": "code: own.txt changed",
            "use": "code: own.txt changed; output of make changed",
        },
    ),
    "a file that makes no difference to the first step's output": (
        {"p/other.txt": "lime\n"},
        (),
        {"make": "code: other.txt is new", "use": "code: other.txt is new"},
    ),
    "a command": (
        {"p/MLproject": TWO_STEPS.replace("wc -l < {words}", "wc -l < {words}; true")},
        (),
        {"make": "reused", "use": "command changed"},
    ),
    "a command that gives the same": (
        {"p/MLproject": TWO_STEPS.replace("cat own.txt >", "cat own.txt   >")},
        (),
        {"make": "command changed", "use": "reused"},
    ),
    "a variable": (
        {"p/MLproject": TWO_STEPS.replace("      use:\n", "      use:\n        env: {SEED: 1}\n")},
        (),
        {"make": "reused", "use": "variable SEED is new: 1"},
    ),
    "a declared output": (
        {"p/MLproject": TWO_STEPS.replace("      use:\n", "      use:\n        secrets: [PATH]\n")},
        (),
        {"make": "reused", "use": "secret PATH is new"},
    ),
}


@pytest.mark.parametrize(("files", "words", "told"), CHANGED.values(), ids=CHANGED.keys())
def test_a_change_runs_what_it_concerns_and_says_so(
    two: Space, files: dict[str, str], words: tuple[str, ...], told: dict[str, str]
) -> None:
    two.write(files)
    assert ran(two, "p", *words) == told
    assert ran(two, "p", *words) == {"make": "reused", "use": "reused"}


def test_going_back_finds_what_was_before(two: Space) -> None:
    two.write({"p/own.txt": "lime\n"})
    ran(two, "p")
    two.write({"p/own.txt": "fig\n"})
    assert ran(two, "p") == {"make": "reused", "use": "reused"}


def test_without_the_cache_everything_runs_and_is_there_for_the_next(two: Space) -> None:
    assert ran(two, "p", "--no-cache") == dict.fromkeys(("make", "use"), "the cache is off")
    newest = two.run_of("make")["run_id"]
    outcome = two.flowrun("run", "p", *LOCAL, "--json").json()
    assert outcome["steps"][0]["reused_from"] == newest


def test_a_run_in_place_uses_nothing_and_is_used_by_nobody(space: Space) -> None:
    space.write({"p/MLproject": TWO_STEPS, "p/own.txt": "fig\n"})
    for _ in range(2):
        told = ran(space, "p", "--in-place")
        assert set(told.values()) == {"it runs in the project's own directory (--in-place)"}
        (space.path / "p" / "out.txt").unlink()
    assert ran(space, "p") == dict.fromkeys(("make", "use"), "no finished run of it is known")


def test_what_failed_runs_again(space: Space) -> None:
    space.write({"p/MLproject": "entry_points: {main: {steps: {a: {run: exit 3}}}}"})
    for _ in range(2):
        assert ran(space, "p", code=1) == {"a": "no finished run of it is known"}


def _output_of(space: Space, step: str) -> Path:
    run = space.run_of(step)
    uri = str(json.loads(run["tags"]["flowrun.output.words"])["uri"])
    folder = str(run["artifact_uri"]).removeprefix("mlflow-artifacts:/")
    return space.home / "artifacts" / folder / uri.removeprefix(f"runs:/{run['run_id']}/")


def test_an_output_that_is_gone_is_made_again(two: Space) -> None:
    run_id = two.run_of("make")["run_id"]
    _output_of(two, "make").unlink()
    assert ran(two, "p") == {"make": f"output words of run {run_id} is gone", "use": "reused"}


def test_an_output_that_was_changed_is_made_again(two: Space) -> None:
    run_id = two.run_of("make")["run_id"]
    path = _output_of(two, "make")
    path.chmod(0o600)
    path.write_text(path.read_text().swapcase())
    why = f"output words of run {run_id} is not what it was"
    assert ran(two, "p") == {"make": why, "use": "reused"}


def test_a_deleted_run_is_not_used(two: Space) -> None:
    with open_stores(f"sqlite:///{two.home / 'flowrun.db'}", two.home / "artifacts") as stores:
        stores.tracking.delete_run(two.run_of("make")["run_id"])
    assert ran(two, "p") == {"make": "no finished run of it is known", "use": "reused"}


def test_models_metrics_and_values_of_a_reused_step_are_as_of_one_that_ran(space: Space) -> None:
    space.write({f"p/{name}": text for name, text in MODEL_PIPELINE.items()})
    ran(space, "p")
    assert ran(space, "p")["train"] == "reused"
    [version] = space.flowrun("models", "show", "demo", "--json").json()["versions"]
    assert (version["version"], version["stage"]) == ("1", "Production")


def test_a_select_sees_reused_and_new_candidates(space: Space) -> None:
    space.write({f"p/{name}": text for name, text in PIPELINE.items()})
    ran(space, "p")
    told = ran(space, "p", "-P", "lr=0.05")
    # compared with whichever of the other instances is nearest
    assert re.fullmatch(r"parameter lr: 0\.[123] -> 0\.05", told.pop("train[lr=0.05]"))
    assert told == {
        "prepare": "reused",
        "train[lr=0.1]": "reused",
        "train[lr=0.2]": "reused",
        "best": "succeeded",
        "report": "parameter lr: 0.1 -> 0.05; output of best changed",
    }


def test_a_step_that_only_waits_for_another_runs_again_when_that_did_something_else(
    space: Space,
) -> None:
    text = "entry_points: {main: {steps: {a: {run: echo 1}, b: {run: echo b, needs: a}}}}"
    space.write({"p/MLproject": text})
    ran(space, "p")
    space.write({"p/MLproject": text.replace("echo 1", "echo 2")})
    assert ran(space, "p") == {"a": "command changed", "b": "step a, which it needs, changed"}


def test_equal_steps_of_one_pipeline_run_once(space: Space) -> None:
    steps = "{a: {run: sleep 0.3; echo x}, b: {run: sleep 0.3; echo x}}"
    space.write({"p/MLproject": f"entry_points: {{main: {{steps: {steps}}}}}"})
    assert sorted(ran(space, "p", "-j", "2").values()) == [
        "no finished run of it is known",
        "reused",
    ]


def test_a_kill_9_leaves_nothing_that_could_be_used(space: Space) -> None:
    text = "entry_points: {main: {steps: {a: {run: 'touch {f}; sleep 20', with: {f: FILE}}}}}"
    marker = space.path / "began"
    space.write({"p/MLproject": text.replace("FILE", str(marker))})
    process = space.start("run", "p", *LOCAL)
    until(marker.exists)
    process.kill()
    process.communicate()
    space.write({"p/MLproject": text.replace("FILE", str(marker)).replace("sleep 20", "true")})
    assert ran(space, "p") == {"a": "no finished run of it is known"}
