"""The caller's own interpreter as an environment."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from flowrun.envs.system import caller_env
from flowrun.errors import EnvError

PYTHON = Path(sys.executable)


def test_caller_env_is_the_interpreter_as_it_is() -> None:
    env = caller_env(PYTHON, {"PATH": "/usr/bin:/bin"})
    assert (env.backend, env.key, env.prefix, env.python) == ("local", "", None, PYTHON)
    assert env.path_entries == (PYTHON.parent,)
    assert env.variables == {}


def test_path_is_left_alone_when_it_finds_the_interpreter_already() -> None:
    env = caller_env(PYTHON, {"PATH": f"{PYTHON.parent}:/usr/bin:/bin"})
    assert env.path_entries == ()


def test_lock_says_what_is_installed() -> None:
    lines = caller_env(PYTHON, {}).lock.splitlines()
    assert lines[:2] == [
        "# env/1",
        f"# the caller's interpreter, recorded but not pinned: {PYTHON}",
    ]
    assert lines[2].startswith(f"# python {sys.version.split()[0]} ")
    assert f"pytest=={version('pytest')}" in lines
    assert f"scikit-learn=={version('scikit-learn')}" in lines


def test_another_interpreter_than_our_own_is_asked() -> None:
    base = Path(sys.base_prefix) / "bin/python3"
    lines = caller_env(base, {}).lock.splitlines()
    assert lines[1] == f"# the caller's interpreter, recorded but not pinned: {base}"
    assert not [line for line in lines if line.startswith("flowrun==")]


def test_interpreter_that_can_not_be_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(EnvError) as error:
        caller_env(tmp_path / "python", {})
    assert error.value.message.startswith(f"The interpreter {tmp_path}/python can't be run: ")
