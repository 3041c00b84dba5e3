"""`flowrun gc` removes what nobody needs, tells it before, and leaves everything else alone."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.projects import MODEL_PIPELINE
from tests.support.space import Space
from tests.support.terminal import on_terminal
from tests.support.waiting import until

LOCAL = ("--env-manager", "local")
TWO = """\
entry_points:
  main:
    steps:
      make: {run: "echo words > words.txt", outputs: {words: words.txt}}
      use: {run: "cat {w}", with: {w: "${{ steps.make.outputs.words }}"}}
"""
GATED = "entry_points: {main: {steps: {gate: {run: 'until [ -e SPACE/go ]; do sleep 0.02; done'}}}}"
LEFT = "folders that killed flowruns left"
SOURCES = "trees and repositories of projects"
RUNS = "deleted runs"
NOW = ("--older-than", "0m")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Space:
    """Make a home with a run that is deleted, what a killed flowrun left, and old sources."""
    space = Space(tmp_path_factory.mktemp("template"))
    space.write({"p/MLproject": TWO, "gated/MLproject": GATED.replace("SPACE", str(space.path))})
    space.flowrun("run", "p", *LOCAL)
    _delete_all_runs(space)
    process = space.start("run", "gated", *LOCAL)
    until(lambda: any(space.home.glob("work/*/*")), what="a running step")
    process.kill()
    process.communicate()
    return space


@pytest.fixture
def used(template: Space, tmp_path: Path) -> Iterator[Space]:
    """Give a copy of it; what waits at the gate goes on at the end."""
    space = Space(tmp_path / "used")
    shutil.copytree(template.path, space.path, symlinks=True)
    space.write({"gated/MLproject": GATED.replace("SPACE", str(space.path))})
    yield space
    space.write({"go": ""})


def _delete_all_runs(space: Space) -> None:
    _write(space, "UPDATE runs SET lifecycle_stage = 'deleted', deleted_time_ms = 1")


def _write(space: Space, *statements: str) -> None:
    with closing(sqlite3.connect(space.home / "flowrun.db")) as database, database:
        for statement in statements:
            database.execute(statement)


def _runs(space: Space) -> list[str]:
    with closing(sqlite3.connect(space.home / "flowrun.db")) as database:
        return [run_id for (run_id,) in database.execute("SELECT run_id FROM runs")]


def _gc(space: Space, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = space.flowrun("gc", "--json", *words).json()
    return found


def _counts(told: dict[str, Any]) -> dict[str, int]:
    return {pile["what"]: pile["count"] for pile in told["piles"] if pile["count"]}


def _files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def _journals(space: Space) -> set[Path]:
    """Give what SQLite puts beside a database while it is open."""
    return {space.home / f"flowrun.db-{end}" for end in ("wal", "shm")}


def test_what_is_told_before_is_what_goes(used: Space) -> None:
    before = _files(used.home)
    told = _gc(used, *NOW, "--dry-run")
    assert _files(used.home) - before <= {used.home / "in-use", used.home / "gc.lock"}
    assert before - _files(used.home) <= _journals(used)
    assert {LEFT, SOURCES, RUNS} <= set(_counts(told))
    assert told["freed_bytes"] == sum(pile["size_bytes"] for pile in told["piles"])
    done = _gc(used, *NOW, "--yes")
    assert done == told | {"is_removed": True}
    assert _counts(_gc(used, *NOW, "--yes")) == {}
    assert not any(used.home.glob("work/*"))
    assert not any(used.home.glob("artifacts/0/*/artifacts/outputs"))
    used.flowrun("run", "p", *LOCAL)


def test_what_is_new_stays(used: Space) -> None:
    _write(used, "UPDATE runs SET deleted_time_ms = unixepoch() * 1000")
    assert set(_counts(_gc(used, "--yes"))) <= {LEFT, "locks of steps"}
    assert len(_runs(used)) >= 3


def test_nothing_goes_without_a_word_of_consent(used: Space) -> None:
    done = used.flowrun("gc", *NOW)
    assert RUNS in done.out
    assert done.out.endswith("would come free.\nNothing was removed: --yes removes it.\n")
    assert on_terminal(used, "gc", *NOW, answer="n\n").words.endswith("Remove it? [y/N]: ")
    assert any(used.home.glob("work/*"))
    assert "came free." in on_terminal(used, "gc", *NOW, answer="y\n").words
    assert not any(used.home.glob("work/*"))


def test_what_a_running_flowrun_uses_is_left_alone(used: Space) -> None:
    left = set(used.home.glob("work/*/*"))
    running = used.start("run", "gated", *LOCAL)
    until(lambda: set(used.home.glob("work/*/*")) > left, what="the step's folder")
    work = set(used.home.glob("work/*/*")) - left
    told = _gc(used, *NOW, "--yes")
    notes = {pile["what"]: pile["note"] for pile in told["piles"] if pile["note"]}
    assert notes == {"sources, clients and locks": "a flowrun is running"}
    assert set(used.home.glob("work/*/*")) == work
    used.write({"go": ""})
    out, err = running.communicate(timeout=30)
    assert running.returncode == 0, out + err


def test_a_run_that_is_not_deleted_stays_with_all_that_is_its_own(used: Space) -> None:
    used.flowrun("run", "p", *LOCAL)
    active = {run["run_id"]: run["artifact_uri"] for run in used.runs()}
    _gc(used, *NOW, "--yes")
    assert set(_runs(used)) == set(active)
    shown = used.flowrun("runs", "show", "latest", "--json").json()
    assert {state["status"] for state in shown["states"]} == {"succeeded"}
    again = used.flowrun("run", "p", *LOCAL)
    assert again.out.count("reused") >= 2


def test_what_a_registered_model_came_from_stays(space: Space) -> None:
    space.write({f"m/{name}": text for name, text in MODEL_PIPELINE.items()})
    space.flowrun("run", "m", *LOCAL)
    train = space.run_of("train")["run_id"]
    _delete_all_runs(space)
    told = _gc(space, *NOW, "--yes")
    note = next(pile["note"] for pile in told["piles"] if pile["what"] == RUNS)
    assert note == "left: 1 that registered models came from"
    assert _runs(space) == [train]
    assert any(space.home.glob("artifacts/**/weights"))


ELSEWHERE = {
    "another place": "file://{space}/mine",
    "out of the folder": "mlflow-artifacts:/../../mine",
    "another run's": "mlflow-artifacts:/0/{other}/artifacts",
}


@pytest.mark.parametrize("uri", ELSEWHERE.values(), ids=ELSEWHERE.keys())
def test_artifacts_in_a_place_of_their_own_are_never_removed(used: Space, uri: str) -> None:
    [one, other, *_] = _runs(used)
    kept = used.home / "artifacts" / "0" / other / "artifacts"
    uri = uri.format(space=used.path, other=other)
    used.write({"mine/precious": "x"})
    _write(
        used,
        "UPDATE runs SET lifecycle_stage = 'active', deleted_time_ms = NULL",
        f"UPDATE runs SET lifecycle_stage = 'deleted', deleted_time_ms = 1, "  # noqa: S608
        f"artifact_uri = '{uri}' WHERE run_id = '{one}'",
    )
    before = _files(kept)
    told = _gc(used, *NOW, "--yes")
    note = next(pile["note"] for pile in told["piles"] if pile["what"] == RUNS)
    assert note == "left: 1 with artifacts of their own place"
    assert used.read("mine/precious") == "x"
    assert _files(kept) == before
    assert one in _runs(used)


def test_a_deleted_experiment_goes_with_its_runs(used: Space) -> None:
    used.flowrun("run", "p", *LOCAL, "--experiment-name", "old")
    _write(
        used,
        "UPDATE experiments SET lifecycle_stage = 'deleted', last_update_time_ms = 1"
        " WHERE name = 'old'",
        "UPDATE runs SET lifecycle_stage = 'deleted', deleted_time_ms = 1",
    )
    assert _counts(_gc(used, *NOW, "--yes"))["deleted experiments"] == 1
    experiments = used.flowrun("experiments", "list", "--all", "--json").json()
    assert [experiment["name"] for experiment in experiments] == ["Default"]
    assert _runs(used) == []


def test_a_run_of_which_nobody_knows_when_it_was_deleted_waits_from_now_on(used: Space) -> None:
    _write(used, "UPDATE runs SET deleted_time_ms = NULL")
    assert RUNS not in _counts(_gc(used, *NOW, "--dry-run"))
    _gc(used, "--yes")
    until(lambda: RUNS in _counts(_gc(used, *NOW, "--dry-run")), what="time to pass")


@pytest.mark.slow
def test_a_kill_9_in_the_midst_leaves_all_sound(used: Space) -> None:
    for number in range(3_000):
        used.write({f"flowrun-home/work/left-{number}/file": "x"})
    process = subprocess.Popen(
        [sys.executable, "-m", "flowrun", "gc", *NOW, "--yes"],
        env=used.environment(),
        stdout=subprocess.DEVNULL,
    )
    until(lambda: any(used.home.glob("trash/*")), what="the first thing to go")
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert any(used.home.glob("work/left-*")), "it was too quick to be caught in the midst"
    used.flowrun("run", "p", *LOCAL)
    used.flowrun("gc", *NOW, "--yes")
    assert not any(used.home.glob("work/*"))
    assert not (used.home / "trash").exists()


def test_gc_on_a_home_that_is_not_there_makes_none(space: Space) -> None:
    assert space.flowrun("gc").out == "There is nothing to remove.\n"
    assert not space.home.exists()


def test_on_a_server_only_this_machine_is_cleaned(used: Space) -> None:
    told = used.flowrun("--tracking-uri", "http://127.0.0.1:1", "gc", "--json").json()
    assert next(p for p in told["piles"] if p["what"] == RUNS)["note"].startswith("runs deleted on")


def test_links_are_removed_and_what_they_lead_to_is_not(used: Space) -> None:
    used.write({"mine/precious": "x"})
    (used.home / "work" / "link").symlink_to(used.path / "mine")
    (used.home / "work" / "inside").mkdir()
    (used.home / "work" / "inside" / "link").symlink_to(used.path / "mine")
    _gc(used, *NOW, "--yes")
    assert used.read("mine/precious") == "x"
    assert not any(used.home.glob("work/*"))


def test_a_cache_on_another_disk_is_cleaned_as_well(used: Space) -> None:
    if not _is_other_disk(Path("/dev/shm"), used.home):  # noqa: S108 - no secret is put there
        pytest.skip("needs /dev/shm to be a file system of its own")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
        shutil.move(used.home / "cache", elsewhere)
        (used.home / "cache").symlink_to(Path(elsewhere) / "cache")
        assert SOURCES in _counts(_gc(used, *NOW, "--yes"))
        assert SOURCES not in _counts(_gc(used, *NOW, "--yes"))
        used.flowrun("run", "p", *LOCAL)


def _is_other_disk(one: Path, other: Path) -> bool:
    return one.is_dir() and one.stat().st_dev != other.stat().st_dev
