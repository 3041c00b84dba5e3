"""Standard output that is closed, full, cut short or a terminal."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.e2e.projects import ONE_STEP
from tests.support.space import Space
from tests.support.terminal import on_terminal

RUN = "run one --env-manager local"
FULL = "flowrun: standard output: No space left on device\n"


@pytest.fixture
def projects(space: Space) -> Space:
    space.write({f"one/{name}": text for name, text in ONE_STEP.items()})
    steps = "entry_points:\n  main:\n    steps:\n      a: {run: sleep 0.2}\n"
    space.write({"steps/MLproject": steps})
    space.write({"bad/MLproject": "entry_points:\n  main: {command: exit 3}\n"})
    return space


def _shell(space: Space, line: str) -> tuple[int, str, str]:
    """Run a line of shell in which $FLOWRUN is flowrun."""
    program = f"{sys.executable} -m flowrun"
    done = subprocess.run(
        ["bash", "-c", line.replace("$FLOWRUN", program)],
        cwd=space.path,
        env=space.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr.replace(f"reading {space.path / 'one'}\n", "")


def test_a_reader_that_leaves_early_changes_nothing(projects: Space) -> None:
    code = "; exit ${PIPESTATUS[0]}"
    assert _shell(projects, f"$FLOWRUN {RUN} | head -1{code}")[::2] == (0, "")
    assert _shell(projects, f"$FLOWRUN {RUN} -e nope.sh | head -1{code}")[0] == 2
    assert _shell(projects, f"$FLOWRUN run bad --env-manager local | head -1{code}")[0] == 1
    assert _shell(projects, f"$FLOWRUN runs list | head -c 1{code}")[::2] == (0, "")
    assert sorted(run["status"] for run in projects.runs()) == ["FAILED", "FINISHED"]


def test_closed_streams_take_no_database_or_socket_in(projects: Space) -> None:
    assert _shell(projects, f"$FLOWRUN {RUN} >&- 2>&- <&-") == (0, "", "")
    assert _shell(projects, "$FLOWRUN --version >&-")[0] == 0
    [run] = projects.runs()
    assert run["status"] == "FINISHED"


def test_a_full_disk_below_the_output_is_told_and_the_run_goes_on(projects: Space) -> None:
    assert _shell(projects, f"$FLOWRUN {RUN} > /dev/full") == (3, "", FULL)
    assert _shell(projects, "$FLOWRUN runs list --json > /dev/full") == (3, "", FULL)
    assert [run["status"] for run in projects.runs()] == ["FINISHED"]


def test_a_terminal_shows_progress_and_gets_its_cursor_back(projects: Space) -> None:
    shown = on_terminal(projects, *RUN.split()).text
    assert "alpha=0.5" in shown
    assert _cursor(shown)[-1] == "shown"
    assert "\x1b" not in on_terminal(projects, *RUN.split(), TERM="dumb").text


def test_a_run_that_breaks_gives_the_cursor_back(projects: Space) -> None:
    _shell(projects, f"$FLOWRUN {RUN}")
    trigger = "CREATE TRIGGER stop BEFORE UPDATE ON runs BEGIN SELECT RAISE(ABORT, 'no more'); END"
    script = f"import sqlite3; sqlite3.connect('flowrun-home/flowrun.db').execute({trigger!r})"
    subprocess.run([sys.executable, "-c", script], cwd=projects.path, check=True)
    shown = on_terminal(projects, "run", "steps", "--env-manager", "local").text
    assert "no more" in shown
    assert _cursor(shown) == ["hidden", "shown"]


def _cursor(shown: str) -> list[str]:
    """Give what was done to the cursor."""
    found = re.findall(r"\x1b\[\?25([lh])", shown)
    return ["shown" if letter == "h" else "hidden" for letter in found]
