"""Builds of conda environments that are killed, cancelled, robbed of their cache, or at once."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from flowrun.envs.base import EnvRequest, PrefixEnv
from flowrun.envs.store import EnvStore
from flowrun.errors import CancelledError, EnvError
from flowrun.spec.project import EnvKind, EnvSpec
from tests.envs.conda.conftest import conda_yaml
from tests.envs.conftest import EnvSpace
from tests.support.conda_channel import CondaChannel
from tests.support.conda_channels import generic
from tests.support.conda_server import ChannelServer
from tests.support.small_disk import small_disk

pytestmark = pytest.mark.conda
APP = generic("demo-app", "2.0", "demo-lib >=2")
LIB = generic("demo-lib", "2.0", **{"share/large": "x" * 100_000})


@pytest.fixture
def project(own: CondaChannel, space: EnvSpace) -> EnvSpace:
    own.add(APP, LIB)
    space.write(conda_yaml("demo-app"))
    return space


def test_steps_that_start_together_share_one_build(project: EnvSpace) -> None:
    with ThreadPoolExecutor(4) as pool:
        envs = list(pool.map(lambda _: project.ensure(), range(4)))
    assert len({env.prefix for env in envs}) == 1
    assert len([line for line in project.said if line.startswith("building")]) == 1


@pytest.mark.slow
def test_two_processes_build_once(project: EnvSpace) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        work = (project.root, project.project, project.variables)
        first, second = pool.starmap(build, [work] * 2)
    assert first == second
    assert len(folders(project)) == 1


@pytest.mark.slow
def test_two_processes_that_fill_one_cache_both_get_what_they_asked_for(
    project: EnvSpace,
) -> None:
    project.write({"other/conda.yaml": "channels: [tests]\ndependencies: [demo-lib]\n"})
    context = multiprocessing.get_context("spawn")
    folders = [project.project, project.project / "other"]
    with context.Pool(2) as pool:
        work = [(project.root, folder, project.variables) for folder in folders]
        first, second = pool.starmap(build, work)
    assert is_whole(first)
    assert is_whole(second)
    assert first.key != second.key


@pytest.mark.slow
def test_builder_killed_in_a_download_is_no_obstacle_and_leaves_nothing(
    project: EnvSpace, server: ChannelServer
) -> None:
    server.may_go_on.clear()
    context = multiprocessing.get_context("spawn")
    work = (project.root, project.project, project.variables)
    builder = context.Process(target=build, args=work)
    builder.start()
    assert server.between_halves.wait(30)
    os.kill(builder.pid or 0, signal.SIGKILL)
    builder.join()
    assert not list((project.root / "envs").glob("*.json"))
    server.may_go_on.set()
    assert is_whole(project.ensure())
    assert len(folders(project)) == 1
    assert list((project.root / "scratch").iterdir()) == []


def test_cancelled_download_ends_at_once_and_leaves_nothing(
    project: EnvSpace, server: ChannelServer
) -> None:
    server.may_go_on.clear()
    cancelled = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        built = pool.submit(project.ensure, is_cancelled=cancelled.is_set)
        assert server.between_halves.wait(30)
        cancelled.set()
        message = r"^cancelled during the installation of conda packages$"
        with pytest.raises(CancelledError, match=message):
            built.result(timeout=10)
    assert folders(project) == []
    assert list((project.root / "scratch").iterdir()) == []
    server.may_go_on.set()
    assert is_whole(project.ensure())


def test_cancelled_solve_ends_at_once(project: EnvSpace) -> None:
    with pytest.raises(CancelledError, match=r"^cancelled during the solve$"):
        project.ensure(is_cancelled=lambda: True)


def test_package_cache_removed_under_a_running_build_is_filled_again(
    project: EnvSpace, server: ChannelServer
) -> None:
    server.may_go_on.clear()
    cache = project.root / "memos/conda"
    with ThreadPoolExecutor(1) as pool:
        built = pool.submit(project.ensure)
        assert server.between_halves.wait(30)
        shutil.rmtree(cache)
        server.may_go_on.set()
        assert is_whole(built.result(timeout=60))


def test_package_cache_removed_between_two_builds_is_filled_again(project: EnvSpace) -> None:
    project.ensure()
    shutil.rmtree(project.root / "memos/conda")
    project.write(conda_yaml("demo-lib"))
    assert is_whole(project.ensure())


TOLD = r"^env \w{8} \(conda.yaml\): the disk is full\.\nFree some space; nothing half-made is left"
FULL = {
    "by the archive": (1, r"^Environments can't be kept .*: No space left on device \(.*/scratch/"),
    "by what is in it": (4, TOLD),
    "by the environment": (7, TOLD),
}


@pytest.mark.parametrize(("size_mib", "message"), FULL.values(), ids=FULL)
def test_full_disk_is_told_and_leaves_nothing(
    size_mib: int, message: str, own: CondaChannel, space: EnvSpace, tmp_path: Path
) -> None:
    files = {f"share/{n}": os.urandom(100_000).hex() for n in range(40)}
    own.add(generic("demo-app", "2.0", **files))
    space.write(conda_yaml("demo-app"))
    with small_disk(tmp_path / "disk", size_mib=size_mib) as disk:
        full = replace(space, disk=disk)
        with pytest.raises(EnvError, match=message):
            full.ensure()
        assert folders(full) == []
        assert list((full.root / "scratch").iterdir()) == []


def is_whole(env: PrefixEnv) -> bool:
    assert env.prefix is not None
    return (env.prefix / "share/large").stat().st_size == 100_000


def folders(space: EnvSpace) -> list[Path]:
    return [path for path in (space.root / "envs").iterdir() if path.is_dir()]


def build(root: Path, project: Path, variables: dict[str, str]) -> PrefixEnv:
    """Build an environment in a process of its own."""
    store = EnvStore(root, variables=variables, caller_python=Path(sys.executable))
    env = store.ensure(EnvRequest(EnvSpec(EnvKind.IMPLIED), project), None, lambda _: None)
    assert isinstance(env, PrefixEnv)
    return env
