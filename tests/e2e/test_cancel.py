"""A run is ended from another terminal, or another machine, of the same store."""

from __future__ import annotations

import re
import signal
import sqlite3
from contextlib import closing

import pytest

from flowrun.engine.record.live import SESSION_TAG
from flowrun.engine.record.pulse import ALIVE_TAG, LOST_AFTER_MS
from flowrun.stores import now_ms
from flowrun.tracking.entities import RunStatus
from tests.support.space import Space
from tests.support.stores import tracking_store
from tests.support.waiting import until

LOCAL = ("--env-manager", "local")
PIPELINE = """\
entry_points:
  main:
    steps:
      nap: {run: "touch {space}/started; sleep 300"}
      after: {run: echo never, needs: nap}
"""
ALONE = """\
entry_points:
  main: {command: "trap '' TERM; touch {space}/started; while :; do sleep 0.1; done"}
"""


def _write(space: Space, text: str) -> None:
    space.write({"p/MLproject": text.replace("{space}", str(space.path))})


def test_a_pipeline_ends_as_by_ctrl_c(space: Space) -> None:
    _write(space, PIPELINE)
    process = space.start("run", "p", *LOCAL)
    until(lambda: (space.path / "started").exists(), 60)
    asked = space.flowrun("runs", "cancel", "latest")
    assert f"(process {process.pid}) to end run" in asked.out
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    assert "flowrun: asking all steps to end, as " in out
    assert {run["status"] for run in space.runs()} == {"KILLED"}


def test_a_command_that_does_not_listen_is_killed_by_force(space: Space) -> None:
    _write(space, ALONE)
    process = space.start("run", "p", *LOCAL)
    until(lambda: (space.path / "started").exists(), 60)
    space.flowrun("runs", "cancel", "latest", "--force")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    assert [run["status"] for run in space.runs()] == ["KILLED"]


def test_a_flowrun_whose_run_another_one_has_taken_over_ends_and_leaves_it_alone(
    space: Space,
) -> None:
    _write(space, PIPELINE)
    process = space.start("run", "p", *LOCAL)
    until(lambda: (space.path / "started").exists(), 60)
    with tracking_store(space.home / "flowrun.db", now=now_ms) as store:
        run_id = space.flowrun("runs", "show", "latest", "--json").json()["run_id"]
        store.log_batch(run_id, tags={SESSION_TAG: "another"})
        out, err = process.communicate(timeout=60)
        assert "killing all steps, as another flowrun, which resumed the run asks" in out, err
        assert store.get_run(run_id).info.status is RunStatus.RUNNING
    assert space.run_of("nap")["status"] == "KILLED"


def test_a_flowrun_that_is_stopped_is_not_taken_for_gone(space: Space) -> None:
    _write(space, PIPELINE)
    process = space.start("run", "p", *LOCAL)
    until(lambda: (space.path / "started").exists(), 60)
    process.send_signal(signal.SIGSTOP)
    with closing(sqlite3.connect(space.home / "flowrun.db")) as database:
        database.execute("UPDATE runs SET start_time_ms = start_time_ms - ?", [LOST_AFTER_MS])
        database.commit()
    assert "is still running" in space.flowrun("resume", "latest", code=2).err
    space.flowrun("runs", "cancel", "latest")
    process.send_signal(signal.SIGCONT)
    process.communicate(timeout=60)
    assert process.returncode == 130


def test_what_does_not_run_is_not_cancelled(space: Space) -> None:
    _write(space, ALONE.replace("while :; do sleep 0.1; done", "true"))
    space.flowrun("run", "p", *LOCAL)
    (run,) = space.runs()
    done = space.flowrun("runs", "cancel", "latest", code=2)
    assert done.err == (f"flowrun: run {run['run_id']} is FINISHED: there is nothing to cancel\n")


@pytest.mark.parametrize("is_beating", [True, False], ids=["heard of", "not heard of"])
def test_a_run_whose_machine_is_gone_is_closed_by_force_alone(
    space: Space, *, is_beating: bool
) -> None:
    space.flowrun("runs", "list")  # makes the store
    long_ago = now_ms() - LOST_AFTER_MS - 1000
    with tracking_store(space.home / "flowrun.db") as store:
        heard = {ALIVE_TAG: str(now_ms())} if is_beating else {}
        tags = {SESSION_TAG: "elsewhere", "flowrun.host": "far", **heard}
        run_id = store.create_run("0", start_time_ms=long_ago, tags=tags).info.run_id
        asked = space.flowrun("runs", "cancel", run_id, code=0 if is_beating else 2)
        if is_beating:
            assert asked.out.startswith(f"asked flowrun on far to end run {run_id}\n")
            return
        assert re.search(r"flowrun on far was last heard of \d+ min", asked.err)
        space.flowrun("runs", "cancel", run_id, "--force")
        assert store.get_run(run_id).info.status is RunStatus.KILLED
