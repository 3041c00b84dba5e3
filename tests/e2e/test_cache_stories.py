"""What people of other tools complain about: each story with the right end, and the very words."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.test_cache import LOCAL, ran
from tests.e2e.test_cache_asked import notes
from tests.support.repositories import Repository
from tests.support.serving import TOKEN, serving
from tests.support.space import Space
from tests.support.waiting import until

PROJECT = """\
entry_points:
  prepare:
    parameters: {data: path}
    sources: [prepare.sh, lib]
    command: "sh prepare.sh {data} > table.txt"
    outputs: {table: table.txt}
  main:
    parameters: {data: {type: path, default: data/words.csv}}
    steps:
      prepare: {with: {data: "${{ params.data }}"}}
      count: {run: "wc -l < {t}", with: {t: "${{ steps.prepare.outputs.table }}"}}
"""
FILES = {
    "MLproject": PROJECT,
    "prepare.sh": ". lib/sorted.sh\nsorted $1\n",
    "lib/sorted.sh": "sorted() { sort $1; }\n",
    "plot.py": "# draws\nprint(1)\n",
    "data/words.csv": "pear\nfig\n",
}
REUSED = {"prepare": "reused", "count": "reused"}
Change = Callable[[Repository], object]


@pytest.fixture
def done(space: Space) -> Repository:
    """Give a repository whose pipeline ran once."""
    repository = space.repository("r", FILES)
    ran(space, "r")
    return repository


def _moved(repository: Repository) -> None:
    repository.git("mv", "lib/sorted.sh", "lib/sorting.sh")
    (repository.path / "prepare.sh").write_text(". lib/sorting.sh\nsorted $1\n")


def _there_and_back(repository: Repository) -> None:
    repository.git("switch", "-q", "-c", "other")
    repository.commit({"prepare.sh": "cat $1\n", "plot.py": "print(2)\n"})
    repository.git("switch", "-q", "main")


def _plain(name: str, text: str) -> Change:
    return lambda repository: (repository.path / name).write_text(text)


STORIES: dict[str, tuple[Change, tuple[str, ...], dict[str, str]]] = {
    "a file was touched": (
        lambda repository: os.utime(repository.path / "data" / "words.csv"),
        (),
        REUSED,
    ),
    "a comment changed in a file that no step names as its source": (
        _plain("plot.py", "# draws a lot\nprint(1)\n"),
        (),
        {"prepare": "reused", "count": "code: plot.py changed"},
    ),
    "a comment changed in a file that is a source": (
        _plain("lib/sorted.sh", "# well\nsorted() { sort $1; }\n"),
        (),
        {"prepare": "code: lib/sorted.sh changed", "count": "code: lib/sorted.sh changed"},
    ),
    "to another branch and back": (_there_and_back, (), REUSED),
    "the same content under another name": (
        _plain("../elsewhere.csv", "pear\nfig\n"),
        ("-P", "data=elsewhere.csv"),
        REUSED,
    ),
    "other content under the same name": (
        _plain("data/words.csv", "pear\nfig\nlime\n"),
        (),
        {
            "prepare": "input data changed",
            "count": "code: data/words.csv changed; output of prepare changed",
        },
    ),
    "a dependency was moved": (
        _moved,
        (),
        {
            "prepare": "code: lib/sorted.sh is gone, lib/sorting.sh is new, prepare.sh changed",
            "count": "code: lib/sorted.sh is gone, lib/sorting.sh is new, prepare.sh changed",
        },
    ),
}


@pytest.mark.parametrize(("change", "words", "told"), STORIES.values(), ids=STORIES.keys())
def test_the_plan_the_run_and_its_record_tell_the_same_story(
    space: Space,
    done: Repository,
    change: Change,
    words: tuple[str, ...],
    told: dict[str, str],
) -> None:
    first = {step: space.run_of(step)["run_id"] for step in told}
    change(done)
    planned = notes(space, "r", *words)
    for step, why in told.items():
        kept = f"reuse run {first[step]}"
        if planned[step] != "unknown until prepare has run":
            assert planned[step] == (kept if why == "reused" else f"run: {why}")
    assert ran(space, "r", *words) == told
    explained = space.flowrun("explain", "latest", "--json").json()
    assert {row["step"]: (row["what"], row["why"]) for row in explained} == {
        step: ("reused", f"run {first[step]} did the same") if why == "reused" else ("ran", why)
        for step, why in told.items()
    }


def test_what_one_user_did_stands_for_another_on_the_same_store(
    space: Space, tmp_path: Path
) -> None:
    repository = space.repository("r", FILES)
    (tmp_path / "served").mkdir()
    with serving(tmp_path / "served") as served:
        users = [
            Space(
                tmp_path / name,
                {
                    "FLOWRUN_TRACKING_URI": served.url,
                    "MLFLOW_TRACKING_TOKEN": TOKEN,
                    "MLFLOW_TRACKING_USERNAME": "",
                    "USER": name,
                    "LOGNAME": name,
                },
            )
            for name in ("ada", "bob")
        ]
        for user in users:
            user.path.mkdir()
        ada, bob = users
        ran(ada, repository.url)
        made = {step: ada.run_of(step)["run_id"] for step in ("prepare", "count")}
        shown = bob.flowrun("run", repository.url, *LOCAL).out
        for step, run_id in made.items():
            assert f"{step} | reused from run {run_id}\n" in shown
        assert bob.flowrun("explain", "latest", "prepare").out.startswith(
            f"step prepare reused: run {made['prepare']} did the same\n"
        )


def test_after_a_killed_run_what_it_finished_is_not_done_again(space: Space) -> None:
    steps = "      slow: {run: 'touch SPACE/began; until [ -e SPACE/go ]; do sleep 0.02; done'}\n"
    text = PROJECT + steps.replace("SPACE", str(space.path)).replace("{run", "{needs: count, run")
    space.repository("r", FILES | {"MLproject": text})
    process = space.start("run", "r", *LOCAL)
    until((space.path / "began").exists, what="the last step")
    process.kill()
    process.communicate()
    space.write({"go": ""})
    finished = {step: space.run_of(step)["run_id"] for step in ("prepare", "count")}
    assert notes(space, "r") == {
        "prepare": f"reuse run {finished['prepare']}",
        "count": f"reuse run {finished['count']}",
        "slow": "run: no finished run of it is known",
    }
    assert ran(space, "r") == REUSED | {"slow": "no finished run of it is known"}
