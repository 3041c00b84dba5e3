"""A run that did not end well is gone on with, after any end of it."""

from __future__ import annotations

import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from flowrun.engine.record.live import SESSION_TAG
from flowrun.engine.record.pulse import LOST_AFTER_MS
from flowrun.stores import now_ms
from flowrun.tracking.entities import RunStatus
from tests.support.space import Space, interrupt
from tests.support.stores import tracking_store
from tests.support.waiting import until

LOCAL = ("--env-manager", "local")
PIPELINE = """\
entry_points:
  inner:
    steps:
      value: {run: "echo value >> {space}/log; echo n=7 >> $FLOWRUN_OUTPUT", cache: false}
    outputs: {n: "${{ steps.value.outputs.n }}"}
  main:
    parameters: {lr: {type: float, default: 0.5}}
    steps:
      make:
        run: >-
          echo make >> {space}/log; echo made with {lr} > o; printf '{{"m": %s}}' {lr} > m.json
        with: {lr: "${{ matrix.lr }}"}
        matrix: {lr: ["${{ params.lr }}", 0.1]}
        outputs: {o: o}
        metrics: m.json
        cache: false
      best: {select: {from: make, metric: m, mode: min}}
      call: {entry_point: inner}
      off: {run: echo off, if: "false"}
      tell: {run: "echo tell >> {space}/log", needs: off, if: always(), cache: false}
      gate:
        run: "echo gate {n} >> {space}/log; touch {space}/at-gate; {gate}"
        needs: [best, tell]
        with: {n: "${{ steps.call.outputs.n }}"}
      last:
        run: "cat {o}; echo n={n}"
        needs: gate
        with: {o: "${{ steps.best.outputs.o }}", n: "${{ steps.call.outputs.n }}"}
"""
UNTIL_OPEN = "while [ ! -e {space}/open ]; do sleep 0.05; done"


def _write(space: Space, gate: str, text: str = PIPELINE) -> None:
    text = text.replace("{gate}", gate).replace("{space}", str(space.path))
    space.write({"p/MLproject": text})


def _pipeline(space: Space) -> dict[str, str]:
    """Give the statuses of all of the steps' runs, the last attempts'."""
    shown = space.flowrun("runs", "show", "latest", "--json").json()
    assert shown["status"] == "FINISHED"
    return {step["step"]: step["status"] for step in shown["states"]}


def test_what_has_finished_is_not_run_again_and_the_same_run_goes_on(space: Space) -> None:
    _write(space, "[ -e {space}/open ]")
    failed = space.flowrun("run", "p", *LOCAL, "-P", "lr=0.3", code=1)
    (before,) = [run for run in space.runs() if "flowrun.step" not in run["tags"]]
    assert f"  to go on       flowrun resume {before['run_id']}\n" in failed.out
    (space.path / "open").touch()
    space.write({"p/MLproject": "what was recorded counts, not this"})
    done = space.flowrun("resume", before["run_id"][:8])
    assert sorted(space.read("log").splitlines()) == [
        "gate 7",
        "gate 7",
        "make",
        "make",
        "tell",
        "value",
    ]
    assert "make[lr=0.3] | done before it was resumed" in done.out
    assert "make[lr=0.1] (m 0.1)\n" in done.out.partition("STEP ")[2]
    assert "last | made with 0.1" in done.out
    assert "last | n=7" in done.out
    (after,) = [run for run in space.runs() if "flowrun.step" not in run["tags"]]
    assert (after["run_id"], after["status"]) == (before["run_id"], "FINISHED")
    assert after["start_time_ms"] == before["start_time_ms"]
    assert after["tags"]["flowrun.resumed"] == "1"
    assert "flowrun.error" not in after["tags"]
    assert _pipeline(space) == {
        "make[lr=0.3]": "succeeded",
        "make[lr=0.1]": "succeeded",
        "best": "succeeded",
        "call/value": "succeeded",
        "off": "skipped",
        "tell": "succeeded",
        "gate": "succeeded",
        "last": "succeeded",
    }
    assert space.run_of("gate")["tags"]["flowrun.attempt"] == "2"
    again = space.flowrun("resume", before["run_id"], code=2)
    assert again.err == (
        f"flowrun: run {before['run_id']} is FINISHED: there is nothing left to do\n"
        f"To run all of it again: flowrun run runs:/{before['run_id']}\n"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill -9"])
def test_an_interrupted_run_goes_on(space: Space, number: signal.Signals) -> None:
    _write(space, UNTIL_OPEN)
    process = space.start("run", "p", *LOCAL)
    until(lambda: (space.path / "at-gate").exists(), 60)
    running = space.flowrun("resume", "latest", code=2)
    assert f" is still running, on {os.uname().nodename} (process {process.pid})" in running.err
    interrupt(process, number)
    process.communicate(timeout=60)
    (space.path / "open").touch()
    space.flowrun("resume", "latest")
    assert space.read("log").split().count("make") == 2
    assert space.read("log").split().count("tell") == 1
    assert set(_pipeline(space).values()) == {"succeeded", "skipped"}
    assert "RUNNING" not in {run["status"] for run in space.runs()}


def test_a_step_whose_output_is_gone_runs_again(space: Space) -> None:
    _write(space, "[ -e {space}/open ]")
    space.flowrun("run", "p", *LOCAL, code=1)
    (space.path / "open").touch()
    run_id = space.run_of("make[lr=0.1]")["run_id"]
    kept = space.home / "artifacts" / "0" / run_id / "artifacts" / "outputs" / "o" / "o"
    kept.write_text("something else")
    done = space.flowrun("resume", "latest")
    assert "make[lr=0.5] | done before it was resumed" in done.out
    assert "make[lr=0.1] | started" in done.out
    assert "last | made with 0.1" in done.out


def test_what_was_asked_of_the_run_is_asked_of_it_again(space: Space) -> None:
    _write(space, "[ -e {space}/open ]")
    space.flowrun("run", "p", *LOCAL, "--until", "gate", "--no-cache", code=1)
    (space.path / "open").touch()
    space.flowrun("resume", "latest")
    assert "last" not in _pipeline(space)
    assert space.run_of("gate")["tags"]["flowrun.env.backend"] == "local"
    assert space.run_of("gate")["tags"]["flowrun.cache"] == "the cache is off"


ALONE = """\
entry_points:
  main:
    parameters: {p: {type: path, default: in.txt}}
    command: "cat {p}; [ -e {space}/open ]"
"""


def test_a_command_by_itself_is_started_again_in_its_run(space: Space) -> None:
    space.write({"p/in.txt": "x"})
    _write(space, "", ALONE)
    space.flowrun("run", "p", *LOCAL, "-P", "p=p/in.txt", code=1)
    (space.path / "open").touch()
    space.flowrun("resume", "latest")
    (run,) = space.runs()
    assert run["status"] == "FINISHED"
    assert "flowrun.error" not in run["tags"]


REGISTERING = """\
entry_points:
  main:
    steps:
      train: {run: cp -r base m, outputs: {m: {path: m, type: model}}}
      register: {register: {name: wine, model: "${{ steps.train.outputs.m }}"}}
      promote:
        promote: {name: wine, version: "${{ steps.register.outputs.version }}", to: Staging}
      gate: {run: "[ -e {space}/open ]", needs: promote}
      tell:
        run: echo {v} {s}
        needs: gate
        with:
          v: "${{ steps.register.outputs.version }}"
          s: "${{ steps.promote.outputs.stage }}"
"""


def test_a_model_version_is_made_once(space: Space) -> None:
    space.write({"p/base/MLmodel": "flavors: {python_function: {loader_module: x}}"})
    _write(space, "", REGISTERING)
    space.flowrun("run", "p", *LOCAL, code=1)
    (space.path / "open").touch()
    done = space.flowrun("resume", "latest")
    assert "tell | 1 Staging" in done.out
    assert "wine version 1\n" in done.out.partition("STEP ")[2]
    assert "wine version 1 is now Staging\n" in done.out.partition("STEP ")[2]
    assert "wine/2" not in space.flowrun("models", "list", "--json").out


def test_a_run_in_place_can_not_be_gone_on_with(space: Space) -> None:
    _write(space, "exit 1")
    space.flowrun("run", "p", *LOCAL, "--in-place", code=1)
    refused = space.flowrun("resume", "latest", code=3)
    assert "ran in the user's own directory (--in-place): its code was not kept" in refused.err


READING = """\
entry_points:
  read: {parameters: {p: path}, command: "cat {p}; false"}
  main: {parameters: {p: path}, steps: {read: {with: {p: "${{ params.p }}"}}}}
"""


def test_an_input_that_has_changed_is_refused(space: Space, tmp_path: Path) -> None:
    data = tmp_path / "data.csv"
    data.write_text("1")
    _write(space, "", READING)
    space.flowrun("run", "p", *LOCAL, "-P", f"p={data}", code=1)
    data.write_text("2")
    refused = space.flowrun("resume", "latest", code=3)
    assert "has changed: its sha256 was" in refused.err
    assert "or start anew: `flowrun run` reuses what is unchanged" in refused.err


def test_a_run_whose_machine_is_gone_goes_on_here(space: Space) -> None:
    _write(space, "[ -e {space}/open ]")
    space.flowrun("run", "p", *LOCAL, code=1)
    (space.path / "open").touch()
    run_id = space.flowrun("runs", "show", "latest", "--json").json()["run_id"]
    with tracking_store(space.home / "flowrun.db", now=now_ms) as store:
        store.update_run(run_id, status=RunStatus.RUNNING)
        store.log_batch(run_id, tags={SESSION_TAG: "far", "flowrun.host": "far"})
    refused = space.flowrun("resume", run_id, code=2)
    assert f"run {run_id} is still running, on far" in refused.err
    with closing(sqlite3.connect(space.home / "flowrun.db")) as database:
        database.execute("UPDATE runs SET start_time_ms = start_time_ms - ?", [LOST_AFTER_MS])
        database.commit()
    space.flowrun("resume", run_id)
    assert set(_pipeline(space).values()) == {"succeeded", "skipped"}


EACH = """\
entry_points:
  main:
    steps:
      list: {run: "echo 'xs=[1, 2, 3]' >> $FLOWRUN_OUTPUT", cache: false}
      each:
        foreach: "${{ steps.list.outputs.xs }}"
        run: "echo {i} >> {space}/log; [ {i} != 2 -o -e {space}/open ]"
        with: {i: "${{ item }}"}
        cache: false
"""


def test_of_a_foreach_only_what_has_not_finished_runs_again(space: Space) -> None:
    _write(space, "", EACH)
    space.flowrun("run", "p", *LOCAL, code=1)
    (space.path / "open").touch()
    space.flowrun("resume", "latest")
    assert sorted(space.read("log").split()) == ["1", "2", "2", "3"]


SECRET = """\
entry_points:
  main:
    parameters: {token: string, lr: {type: float, default: 1}}
    steps:
      use: {run: "[ {t} = s3cret ] && [ -e {space}/open ]", with: {t: "${{ params.token }}"}, secrets: [KEY]}
"""  # noqa: E501


def test_a_parameter_that_held_a_secret_is_given_once_more_and_no_other(space: Space) -> None:
    _write(space, "", SECRET)
    space.flowrun("run", "p", *LOCAL, "-P", "token=s3cret", KEY="s3cret", code=1)
    (space.path / "open").touch()
    asked = space.flowrun("resume", "latest", KEY="s3cret", code=3)
    assert "parameter 'token' held a secret, which is not recorded" in asked.err
    refused = space.flowrun("resume", "latest", "-P", "lr=2", KEY="s3cret", code=2)
    assert "-P lr: run" in refused.err
    space.flowrun("resume", "latest", "-P", "token=s3cret", KEY="s3cret")
