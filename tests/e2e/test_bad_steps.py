"""Steps that misbehave: they fork daemons, print without end or line ends; flowrun stays sound."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contracts.executor import is_alive
from tests.support.space import Space
from tests.support.waiting import until

LOCAL = ("--env-manager", "local")
MIB = 1 << 20
PEAK_KIB = """\
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""A process of its own, since what a child has at most begins with what its parent has."""


def _project(space: Space, command: str) -> None:
    space.write({"p/MLproject": f"entry_points: {{main: {{steps: {{it: {{run: {command!r}}}}}}}}}"})


DAEMONS = {
    "holds the pipes": "setsid sleep 300 & echo $! > SPACE/pid",
    "lets them go": "setsid sleep 300 >/dev/null 2>&1 </dev/null & echo $! > SPACE/pid",
    "of its own daemon": "setsid sh -c 'setsid sleep 300 & echo $! > SPACE/pid' & wait",
}


@pytest.mark.parametrize("command", DAEMONS.values(), ids=DAEMONS.keys())
def test_a_daemon_ends_with_its_step(space: Space, command: str) -> None:
    _project(space, command.replace("SPACE", str(space.path)))
    space.flowrun("run", "p", *LOCAL)
    pid = int(space.read("pid"))
    until(lambda: not is_alive(pid), what="the end of the daemon")
    assert {run["status"] for run in space.runs()} == {"FINISHED"}


def _log(space: Space, step: str = "it") -> Path:
    run_id = str(space.run_of(step)["run_id"])
    return space.home / "artifacts" / "0" / run_id / "artifacts" / "logs" / "stdout.log"


@pytest.mark.slow
def test_a_gigabyte_without_a_line_end_takes_little_memory_and_a_bounded_record(
    space: Space,
) -> None:
    _project(space, f"head -c {1 << 30} /dev/zero | tr '\\0' x; echo; echo the end")
    measured = [sys.executable, "-c", PEAK_KIB, sys.executable, "-m", "flowrun", "run", "p"]
    done = subprocess.run(
        [*measured, "--quiet", *LOCAL],
        cwd=space.path,
        env=space.environment(),
        check=True,
        stdout=subprocess.PIPE,
    )
    assert int(done.stdout) < 200 * 1024
    log = _log(space)
    assert log.stat().st_size < 70 * MIB
    with log.open("rb") as file:
        assert file.read(MIB) == b"x" * MIB
        file.seek(-5 * MIB, os.SEEK_END)
        end = file.read()
    assert b"\n[flowrun: 10" in end
    assert b" bytes are left out here: of what a command prints the first 64 MiB and" in end
    assert end.endswith(b"x\nthe end\n")


def test_a_line_without_an_end_is_kept_and_shown(space: Space) -> None:
    _project(space, "printf no-end; printf also-none >&2")
    done = space.flowrun("run", "p", *LOCAL)
    assert "it | no-end\n" in done.out
    assert "it | also-none\n" in done.out
    assert _log(space).read_bytes() == b"no-end"
