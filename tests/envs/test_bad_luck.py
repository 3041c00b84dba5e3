"""Builds of virtual environments on a full disk, or robbed of what they work with."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from flowrun.errors import EnvError
from tests.envs.conftest import EnvSpace
from tests.envs.gate import Gate
from tests.envs.wheels import write_package, write_sdist, write_wheel
from tests.support.small_disk import small_disk

LARGE = {f"large{n}.py": f"x = {os.urandom(200_000).hex()!r}\n" for n in range(20)}


@pytest.fixture
def full(space: EnvSpace, tmp_path: Path) -> Iterator[EnvSpace]:
    """Give a space whose environments are kept on a disk of 2 MiB, too small for `large`."""
    write_wheel(space.wheels, "large", "1.0", files={**LARGE, "large.py": ""})
    space.write({"python_env.yaml": "dependencies: [large]"})
    with small_disk(tmp_path / "disk", size_mib=2) as disk:
        yield replace(space, disk=disk)


def test_full_disk_is_told_and_leaves_nothing(full: EnvSpace) -> None:
    with pytest.raises(EnvError) as error:
        full.ensure()
    message = str(error.value)
    assert "the disk is full" in message
    assert "Free some space; nothing half-made is left behind." in message
    assert list((full.root / "envs").iterdir()) == []
    assert list((full.root / "scratch").iterdir()) == []


def test_build_goes_on_where_room_was_made(full: EnvSpace) -> None:
    with pytest.raises(EnvError):
        full.ensure()
    full.write({"python_env.yaml": "dependencies: [alpha]"})
    assert full.python(full.ensure(), "import alpha; print(alpha.version)") == "2.0"


def test_cache_of_uv_removed_under_a_running_build_is_filled_again(
    space: EnvSpace, tmp_path: Path
) -> None:
    space.variables["UV_CACHE_DIR"] = str(tmp_path / "own-uv-cache")
    gate = Gate(tmp_path / "gate")
    write_package(tmp_path / "gated", "gated", "answer = 42\n", extra=gate.code())
    write_sdist(space.wheels, tmp_path / "gated", "gated")
    space.write({"python_env.yaml": "dependencies: [alpha, gated]"})
    with ThreadPoolExecutor(1) as pool:
        built = pool.submit(space.ensure)
        gate.wait_for_build()
        # what is built from right now is in there too
        shutil.rmtree(tmp_path / "own-uv-cache", ignore_errors=True)
        gate.open()
        env = built.result(timeout=60)
    assert space.python(env, "import alpha, gated; print(gated.answer)") == "42"


def test_memories_removed_between_two_builds_are_made_again(space: EnvSpace) -> None:
    space.write({"python_env.yaml": "dependencies: [alpha]"})
    space.ensure()
    shutil.rmtree(space.root / "memos")
    space.write({"python_env.yaml": "dependencies: [beta]"})
    assert space.python(space.ensure(), "import beta; print(beta.version)") == "1.0"
