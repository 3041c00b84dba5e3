"""Environments of a pipeline are built beside the steps that don't need them."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.envs.gate import Gate
from tests.envs.wheels import write_package, write_sdist, write_wheel
from tests.support.space import Space
from tests.support.waiting import until

pytestmark = pytest.mark.slow
PIPELINE = """
entry_points:
  main:
    steps:
      slow: {run: "python -c 'import gated; print(gated.answer)'", python_env: envs/slow.yaml}
      again: {run: "python -c 'import gated'", python_env: envs/slow.yaml}
      quick: {run: "python -c 'import small'", python_env: envs/quick.yaml}
      after: {run: "echo after", python_env: envs/quick.yaml, needs: [quick]}
"""


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
    """Write a pipeline, two steps of which need a package whose build stops at the gate."""
    gate = Gate(space.path / "gate")
    write_package(space.path / "pkg", "gated", "answer = 42\n", extra=gate.code())
    write_sdist(space.path / "wheels", space.path / "pkg", "gated")
    write_wheel(space.path / "wheels", "small", "1")
    space.write(
        {
            "p/MLproject": PIPELINE,
            "p/envs/slow.yaml": "dependencies: [gated]",
            "p/envs/quick.yaml": "dependencies: [small]",
        }
    )
    return gate


def statuses(space: Space) -> dict[str, str]:
    return {run["tags"].get("flowrun.step", ""): run["status"] for run in space.runs()}


def test_steps_run_while_the_environment_of_others_is_built(space: Space, gate: Gate) -> None:
    process = space.start("run", "p", "-j", "1")
    gate.wait_for_build()
    finished = {"": "RUNNING", "quick": "FINISHED", "after": "FINISHED"}
    until(lambda: statuses(space) == finished, what="the other steps")
    gate.open()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert set(statuses(space).values()) == {"FINISHED"}
    assert out.count("slow and 1 more | building environment ") == 1
    assert out.count("quick and 1 more | building environment ") == 1
    assert out.count("| building environment ") == 2
    assert out.index("slow and 1 more | building") < out.index("after | done")
    assert out.index("after | done") < out.index("slow | started")


@pytest.mark.usefixtures("gate")
def test_environment_that_can_not_be_had_fails_the_steps_that_need_it(space: Space) -> None:
    space.write({"p/envs/slow.yaml": "dependencies: [unheard-of]"})
    done = space.flowrun("run", "p", code=3)
    assert statuses(space) == {
        "": "FAILED",
        "quick": "FINISHED",
        "after": "FINISHED",
        "slow": "FAILED",
        "again": "FAILED",
    }
    assert "slow | FAILED in" in done.out
    assert "unheard-of" in space.run_of("again")["tags"]["flowrun.error"]
    assert done.out.count("resolving envs/slow.yaml") == 1


def test_cancelled_pipeline_ends_the_builds_and_leaves_nothing(space: Space, gate: Gate) -> None:
    process = space.start("run", "p")
    gate.wait_for_build()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    assert not gate.is_built
    assert not list(space.home.rglob("envs/scratch/*"))
    assert statuses(space)[""] == "KILLED"
    assert "slow" not in statuses(space)


def test_flowrun_killed_while_it_builds_is_no_obstacle_to_the_next(
    space: Space, gate: Gate
) -> None:
    process = space.start("run", "p")
    gate.wait_for_build()
    process.kill()
    process.communicate(timeout=20)
    left = space.flowrun("envs", "gc", "--dry-run", "--json").json()["unfinished"]
    assert left
    gate.open()
    gate.wait_for_end()
    space.flowrun("run", "p")
    assert space.flowrun("envs", "gc", "--json").json()["unfinished"] == []
    assert len(space.flowrun("envs", "list", "--json").json()) == 2


@pytest.mark.usefixtures("gate")
def test_what_may_not_be_needed_is_built_when_it_is(space: Space) -> None:
    steps = """
entry_points:
  main:
    steps:
      quick: {run: "python -c 'import small'", python_env: envs/quick.yaml}
      slow: {run: "true", python_env: envs/slow.yaml, needs: [quick], if: "${{ 1 > 2 }}"}
"""
    space.write({"p/MLproject": steps})
    assert "envs/slow.yaml" not in space.flowrun("run", "p").out
