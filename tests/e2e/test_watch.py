"""A pipeline's record can be read while it runs, and says the right thing after a kill -9."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.support.space import Space
from tests.support.terminal import on_terminal
from tests.support.waiting import until

RUN = ("run", "p", "--env-manager", "local")
GATED = """\
entry_points:
  main:
    steps:
      first: {run: "echo 1"}
      gate: {run: "until [ -e SPACE/go ]; do sleep 0.02; done; EXIT", needs: first, cache: false}
      last: {run: "echo never", needs: gate}
"""


@pytest.fixture
def gated(space: Space) -> Iterator[Space]:
    """Give a space whose pipeline waits at a gate, which is open at the end."""
    _write(space, end="exit 3")
    space.flowrun("run", "p", "--env-manager", "local", "--until", "first")
    yield space
    space.write({"go": ""})


def _write(space: Space, *, end: str) -> None:
    text = GATED.replace("SPACE", str(space.path)).replace("EXIT", end)
    space.write({"p/MLproject": text})


def _states(space: Space) -> dict[str, str]:
    shown = space.flowrun("runs", "show", "latest", "--json").json()
    return {
        state["step"]: "reused" if state["reused_from"] else state["status"]
        for state in shown["states"]
    }


def _until_the_gate(space: Space) -> None:
    here = {"first": "reused", "gate": "running", "last": "waiting"}
    until(lambda: _states(space) == here, what="the record of a running pipeline")


def _watch(space: Space) -> subprocess.Popen[str]:
    watching = space.start("runs", "show", "latest", "--watch")
    assert watching.stdout is not None
    line = watching.stdout.readline()
    while not line.startswith("gate | started"):
        assert line
        line = watching.stdout.readline()
    return watching


def test_a_running_pipeline_is_watched_to_its_end_and_exit_code(gated: Space) -> None:
    running = gated.start(*RUN)
    _until_the_gate(gated)
    watching = _watch(gated)
    gated.write({"go": ""})
    assert running.wait(30) == 1
    out, err = watching.communicate(timeout=30)
    assert watching.returncode == 1, err
    lines = out.splitlines()
    assert lines[0].startswith("gate | FAILED in ")
    assert lines[0].endswith(" - its command ended with exit code 3")
    assert lines[1] == "last | skipped - step 'gate' failed"
    assert lines[2].startswith("run ")
    assert " FAILED in " in lines[2]
    running.communicate()


def test_after_a_kill_9_the_record_says_what_was_running(gated: Space) -> None:
    running = gated.start(*RUN)
    _until_the_gate(gated)
    watching = _watch(gated)
    running.kill()
    running.communicate()
    out, err = watching.communicate(timeout=30)  # nobody has to wait for a run without a flowrun
    assert watching.returncode == 130, err
    assert out.startswith("gate | KILLED in ")
    assert "flowrun itself ended (killed, or the machine stopped)" in out
    assert _states(gated) == {"first": "reused", "gate": "killed", "last": "not run"}


def test_a_run_that_is_over_is_told_as_it_was(gated: Space) -> None:
    _write(gated, end="exit 0")
    gated.write({"go": ""})
    gated.flowrun(*RUN)
    shown = on_terminal(gated, "runs", "show", "latest", "--watch")
    assert shown.code == 0
    assert "first │ ✓ reused from run " in shown.words
    assert "last │ ✓ done in " in shown.words


def test_one_of_watch_and_json_is_enough(gated: Space) -> None:
    done = gated.flowrun("runs", "show", "latest", "--watch", "--json", code=2)
    assert "--watch and --json can't go together" in done.err


FOREACH = """\
entry_points:
  main:
    steps:
      list: {run: "echo 'items=[1, 2]' >> $FLOWRUN_OUTPUT"}
      each: {foreach: "${{ steps.list.outputs.items }}", run: "echo {x}", with: {x: "${{ item }}"}}
      last: {run: "echo last", needs: each}
"""


def test_steps_that_came_while_it_ran_are_shown_in_their_places(space: Space) -> None:
    space.write({"p/MLproject": FOREACH})
    space.flowrun(*RUN)
    assert list(_states(space)) == ["list", "each[*]", "each[1]", "each[2]", "last"]
    told = space.flowrun("runs", "show", "latest", "--watch").out
    assert (
        told.index("list | done") < told.index("each[2] | started") < told.index("last | started")
    )
