"""Failures, signals, accidents: each is told, nothing stays RUNNING, nothing half-made is left."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.executor import is_alive
from tests.e2e.projects import ONE_STEP
from tests.support.space import Done, Space
from tests.support.waiting import until

LOCAL = ("--env-manager", "local")
SLEEPER = """\
entry_points:
  main:
    steps:
      nap:
        run: "echo pid $$; echo x > {space}/started; sleep 300"
      stubborn:
        run: "trap '' TERM; echo pid $$; echo x > {space}/started2; while :; do sleep 0.1; done"
      after:
        run: "echo never"
        needs: [nap]
"""


def _one(command: str, more: str = "") -> dict[str, str]:
    lines = [f"    {line}\n" for line in more.splitlines()]
    return {"p/MLproject": f"entry_points:\n  main:\n    command: {command}\n" + "".join(lines)}


FAILURES = {
    "exit code": ("exit 3", "", 1, "its command ended with exit code 3"),
    "signal": ("kill -SEGV $$", "", 1, "its command was killed by signal 11 (SIGSEGV)"),
    "killed": (
        "kill -9 $$",
        "",
        1,
        "its command was killed by signal 9 (SIGKILL)",
    ),
    "no output": (
        "'true'",
        "outputs: {data: out.csv}",
        1,
        "the command ended well, but did not write its declared output 'data': "
        "there is no 'out.csv' in the working directory",
    ),
    "output outside": (
        "ln -s /etc/hostname link",
        "outputs: {data: link}",
        1,
        "output 'data': 'link' leads out of the working directory",
    ),
    "no metrics": (
        "'true'",
        "metrics: m.json",
        1,
        "the command ended well, but did not write its metrics file 'm.json'",
    ),
    "metrics not numbers": (
        "'echo [1] > m.json'",
        "metrics: m.json",
        1,
        "metrics file 'm.json' must hold an object of numbers",
    ),
    "no model": (
        "'true'",
        "outputs: {model: {path: model, type: model}}",
        1,
        "the command ended well, but left no model: 'model' (output 'model') is neither a "
        "directory it wrote nor a model it logged",
    ),
    "bad value": (
        "'echo nonsense >> $FLOWRUN_OUTPUT'",
        "",
        1,
        "$FLOWRUN_OUTPUT, line 1: 'nonsense' is not of the form name=value",
    ),
}


@pytest.mark.parametrize(
    ("command", "more", "code", "message"), FAILURES.values(), ids=FAILURES.keys()
)
def test_a_failed_step_says_why_and_is_recorded(
    space: Space, command: str, more: str, code: int, message: str
) -> None:
    space.write(_one(command, more))
    done = space.flowrun("run", "p", *LOCAL, code=code)
    assert message in done.out
    [run] = space.runs()
    assert run["status"] == "FAILED"
    assert run["tags"]["flowrun.error"] == message
    _nothing_left(space)


def test_independent_branches_go_on_and_dependents_are_skipped(space: Space) -> None:
    project = """\
entry_points:
  main:
    steps:
      bad: {run: "exit 1"}
      after_bad: {run: "echo never", needs: bad}
      good: {run: "sleep 0.3; echo fine"}
      after_good: {run: "echo also fine", needs: good}
"""
    space.write({"p/MLproject": project})
    done = space.flowrun("run", "p", "-j", "2", *LOCAL, code=1)
    assert "after_good | also fine" in done.out
    assert re.search(r"after_bad \| skipped", done.out)
    statuses = {run["tags"].get("flowrun.step", "parent"): run["status"] for run in space.runs()}
    assert statuses == {
        "parent": "FAILED",
        "bad": "FAILED",
        "good": "FINISHED",
        "after_good": "FINISHED",
    }


def test_continue_on_error_lets_dependents_run(space: Space) -> None:
    project = """\
entry_points:
  main:
    steps:
      shaky: {run: "exit 1", continue_on_error: true}
      after: {run: "echo went on", needs: shaky}
"""
    space.write({"p/MLproject": project})
    assert "after | went on" in space.flowrun("run", "p", *LOCAL).out


def test_always_runs_after_a_failure(space: Space) -> None:
    project = """\
entry_points:
  main:
    steps:
      bad: {run: "exit 1"}
      clean: {run: "echo cleaned", needs: bad, if: always()}
      notify: {run: "echo told", needs: bad, if: failure()}
      proud: {run: "echo never", needs: bad, if: success()}
"""
    space.write({"p/MLproject": project})
    done = space.flowrun("run", "p", *LOCAL, code=1)
    assert "clean | cleaned" in done.out
    assert "notify | told" in done.out
    assert "never" not in done.out


def test_ctrl_c_ends_all_steps_and_records_them_as_killed(space: Space) -> None:
    process, pids = _start_sleeper(space)
    process.send_signal(signal.SIGINT)
    until(lambda: not is_alive(pids["nap"]))
    process.send_signal(signal.SIGINT)  # the stubborn one needs the second
    done = _end(process)
    assert done.code == 130
    assert not is_alive(pids["stubborn"])
    statuses = {run["tags"].get("flowrun.step", "parent"): run["status"] for run in space.runs()}
    assert statuses == {"parent": "KILLED", "nap": "KILLED", "stubborn": "KILLED"}
    _nothing_left(space)


def test_sigterm_is_a_cancellation(space: Space) -> None:
    process, pids = _start_sleeper(space)
    process.terminate()
    until(lambda: not is_alive(pids["nap"]))
    process.terminate()
    assert _end(process).code == 143
    assert {run["status"] for run in space.runs()} == {"KILLED"}


def test_kill_9_ends_the_steps_and_the_next_start_closes_the_runs(space: Space) -> None:
    process, pids = _start_sleeper(space)
    process.kill()
    _end(process)
    until(lambda: not any(map(is_alive, pids.values())), timeout_s=5)
    assert {run["status"] for run in space.runs()} == {"RUNNING"}
    space.write({f"one/{name}": text for name, text in ONE_STEP.items()})
    space.flowrun("run", "one", *LOCAL)
    statuses = [run["status"] for run in space.runs()]
    assert sorted(statuses) == ["FINISHED", "KILLED", "KILLED", "KILLED"]
    killed = next(run for run in space.runs() if run["status"] == "KILLED")
    assert killed["tags"]["flowrun.error"].startswith("flowrun itself ended")
    _nothing_left(space)


def test_flowruns_at_once_on_one_home_run_each_step_once(space: Space) -> None:
    project = """\
entry_points:
  main:
    steps:
      a: {run: "sleep 0.2; echo a"}
      b: {run: "sleep 0.2; echo b", needs: a}
"""
    space.write({"p/MLproject": project})
    processes = [space.start("run", "p", *LOCAL) for _ in range(4)]
    assert [_end(process).code for process in processes] == [0, 0, 0, 0]
    runs = space.runs()
    assert {run["status"] for run in runs} == {"FINISHED"}
    ran = sorted(run["tags"].get("flowrun.step", "") for run in runs)
    assert ran == ["", "", "", "", "a", "b"]


def test_flowruns_at_once_on_one_home_without_the_cache(space: Space) -> None:
    space.write({"p/MLproject": "entry_points: {main: {steps: {a: {run: sleep 0.2; echo a}}}}"})
    processes = [space.start("run", "p", "--no-cache", *LOCAL) for _ in range(4)]
    assert [_end(process).code for process in processes] == [0, 0, 0, 0]
    assert [run["status"] for run in space.runs()] == ["FINISHED"] * 8


def test_a_run_in_progress_is_left_alone_by_the_next_start(space: Space) -> None:
    process, _ = _start_sleeper(space)
    space.write({f"one/{name}": text for name, text in ONE_STEP.items()})
    space.flowrun("run", "one", *LOCAL)
    assert sorted(run["status"] for run in space.runs()) == ["FINISHED"] + ["RUNNING"] * 3
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    _end(process)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a file system of 3 MiB."""
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a small file system")
    folder = tmp_path / "small"
    folder.mkdir()
    mount = [shutil.which("mount") or "mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    subprocess.run(mount, check=True)
    yield folder
    subprocess.run([shutil.which("umount") or "umount", "-l", str(folder)], check=True)


def test_a_full_disk_fails_the_step_and_the_runs_are_closed_later(
    small_disk: Path, tmp_path: Path
) -> None:
    space = Space(tmp_path, {"FLOWRUN_HOME": str(small_disk / "home")})
    space.write({f"one/{name}": text for name, text in ONE_STEP.items()})
    space.flowrun("run", "one", *LOCAL)
    fill = f"head -c 10000000 /dev/zero > {small_disk}/filler; echo the disk is full; exit 0"
    space.write(_one(f"'{fill}'"))
    done = space.flowrun("run", "p", *LOCAL, code=3)
    assert "No space left on device" in done.text or "disk is full" in done.text
    assert "Traceback" not in done.text
    (small_disk / "filler").unlink()
    space.flowrun("run", "one", *LOCAL)
    assert "RUNNING" not in {run["status"] for run in space.runs()}


def _start_sleeper(space: Space) -> tuple[subprocess.Popen[str], dict[str, int]]:
    space.write({"p/MLproject": SLEEPER.replace("{space}", str(space.path))})
    process = space.start("run", "p", "-j", "2", *LOCAL)
    until(lambda: (space.path / "started").exists() and (space.path / "started2").exists())
    pids: dict[str, int] = {}
    assert process.stdout is not None
    while len(pids) < 2:
        found = re.match(r"(\w+) \| pid (\d+)", process.stdout.readline())
        if found:
            pids[found[1]] = int(found[2])
    return process, pids


def _end(process: subprocess.Popen[str]) -> Done:
    out, err = process.communicate(timeout=60)
    return Done(process.returncode, out, err)


def _nothing_left(space: Space) -> None:
    """No working directory, no session file, no run that is not final."""
    assert not any((space.home / "work").iterdir())
    assert not any((space.home / "live").iterdir())
    assert "RUNNING" not in {run["status"] for run in space.runs()}
