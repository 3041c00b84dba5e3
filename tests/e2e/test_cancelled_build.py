"""A run that is cancelled while an environment is built for it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.envs.gate import Gate
from tests.envs.wheels import write_package, write_sdist
from tests.support.space import Space

SIGNALS = {"Ctrl-C": (signal.SIGINT, 130), "SIGTERM": (signal.SIGTERM, 143)}
END_TIMEOUT_S = 10.0


@pytest.fixture
def space(tmp_path: Path) -> Space:
    """Give a folder whose `wheels` are all the packages there are."""
    return Space(
        tmp_path,
        {
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_FIND_LINKS": str(tmp_path / "wheels"),
            "PIP_NO_INDEX": "1",
            "UV_CACHE_DIR": str(tmp_path / "uv-cache"),
        },
    )


@pytest.fixture
def gate(space: Space) -> Gate:
    """Write a project that needs a package whose build stops at the gate."""
    gate = Gate(space.path / "gate")
    write_package(space.path / "pkg", "gated", "answer = 42\n", extra=gate.code())
    write_sdist(space.path / "wheels", space.path / "pkg", "gated")
    project = "entry_points:\n  main:\n    command: python -c 'import gated; print(gated.answer)'\n"
    space.write({"p/MLproject": project, "p/python_env.yaml": "dependencies: [gated]"})
    return gate


@pytest.mark.parametrize(("number", "exit_code"), SIGNALS.values(), ids=SIGNALS)
def test_run_that_is_cancelled_during_a_build_ends_at_once_and_leaves_nothing(
    number: signal.Signals, exit_code: int, space: Space, gate: Gate
) -> None:
    process = space.start("run", "p")
    gate.wait_for_build()
    asked = time.monotonic()
    process.send_signal(number)
    process.communicate(timeout=END_TIMEOUT_S)
    assert process.returncode == exit_code
    assert time.monotonic() - asked < END_TIMEOUT_S
    assert not gate.is_built
    assert {run["status"] for run in space.runs()} == {"KILLED"}
    assert not list(space.home.rglob("envs/scratch/*"))
    assert not list(space.home.rglob("envs/envs/*"))
    gate.open()
    assert "42" in space.flowrun("run", "p").out
