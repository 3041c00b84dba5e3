"""Build commands: their log, their last lines, and no credentials in either."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from flowrun.envs.base import never
from flowrun.envs.masking import mask, without_credentials
from flowrun.envs.process import LAST_LINES, CommandFailedError, Running

VARIABLES = {"PATH": "/usr/bin:/bin"}


def start(code: str, folder: Path) -> Running:
    argv = [sys.executable, "-c", code]
    return Running(
        argv,
        VARIABLES,
        directory=folder,
        log=folder / "log",
        what="the build",
        is_cancelled=never,
    )


def test_what_a_command_prints_is_in_the_log(tmp_path: Path) -> None:
    start("import sys; print('out'); print('err', file=sys.stderr)", tmp_path).wait()
    assert sorted((tmp_path / "log").read_text().splitlines()[1:]) == ["err", "out"]


def test_failed_command_tells_its_last_lines(tmp_path: Path) -> None:
    with pytest.raises(CommandFailedError) as error:
        start("[print(n) for n in range(99)]; raise SystemExit(3)", tmp_path).wait()
    assert error.value.tail.splitlines() == [str(n) for n in range(99 - LAST_LINES, 99)]
    assert error.value.message.startswith("the build exited with 3:\n87\n")
    assert error.value.hint == f"Log: {tmp_path}/log"


def test_killed_command_tells_the_signal(tmp_path: Path) -> None:
    with pytest.raises(CommandFailedError, match="the build was killed by signal 9"):
        start("import os; os.kill(os.getpid(), 9)", tmp_path).wait()


def test_command_can_not_ask_questions(tmp_path: Path) -> None:
    with pytest.raises(CommandFailedError, match="EOFError"):
        start("input('password: ')", tmp_path).wait()


def test_stopped_command_is_gone(tmp_path: Path) -> None:
    running = start("import time; time.sleep(60)", tmp_path)
    running.stop()
    with pytest.raises(CommandFailedError, match="was killed by signal 15"):
        running.wait()


def test_credentials_do_not_reach_the_log(tmp_path: Path) -> None:
    with pytest.raises(CommandFailedError) as error:
        start("raise SystemExit('https://me:secret@host/x')", tmp_path).wait()
    assert "https://***@host/x" in error.value.message
    assert "secret" not in error.value.message + (tmp_path / "log").read_text()


TEXTS = {
    "user and password": ("https://me:pw@host/x", "https://***@host/x", "https://host/x"),
    "a token alone": (
        "git+https://tok@host/x@v1",
        "git+https://***@host/x@v1",
        "git+https://host/x@v1",
    ),
    "a password with an @": ("http://me:p@w@host", "http://***@host", "http://host"),
    "an address without": ("see https://host/a@b", "see https://host/a@b", "see https://host/a@b"),
    "the user of ssh": ("git+ssh://git@host/x", "git+ssh://git@host/x", "git+ssh://git@host/x"),
    "a file": ("file:///x@1", "file:///x@1", "file:///x@1"),
}


@pytest.mark.parametrize(("text", "masked", "bare"), TEXTS.values(), ids=TEXTS)
def test_credentials_are_taken_out_of_addresses(text: str, masked: str, bare: str) -> None:
    assert (mask(text), without_credentials(text)) == (masked, bare)
