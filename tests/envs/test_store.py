"""Environments are shared, built once, never half seen, and survive whatever happens to a build."""

from __future__ import annotations

import multiprocessing
import os
import signal
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flowrun.envs.base import EnvRequest, PrefixEnv
from flowrun.envs.store import EnvStore
from flowrun.errors import CancelledError, EnvError
from flowrun.spec.project import EnvKind, EnvSpec
from tests.envs.conftest import EnvSpace, run
from tests.envs.gate import Gate
from tests.envs.wheels import write_package
from tests.support.waiting import until


@pytest.fixture
def alpha(space: EnvSpace) -> EnvSpace:
    space.write({"python_env.yaml": "dependencies: [alpha]"})
    return space


def test_second_request_gets_the_same_environment_silently(alpha: EnvSpace) -> None:
    first = alpha.ensure()
    assert alpha.said == [
        "resolving python_env.yaml (1 requirement)",
        f"building environment {first.key[:8]} (python_env.yaml)",
    ]
    alpha.said.clear()
    assert alpha.ensure() == first
    assert alpha.said == []


def test_second_request_needs_no_index_and_no_program(alpha: EnvSpace) -> None:
    first = alpha.ensure()
    for wheel in alpha.wheels.iterdir():
        wheel.unlink()
    log = next((alpha.root / "logs").iterdir())
    log.unlink()
    assert alpha.ensure() == first
    assert not log.exists()


def test_lock_is_what_is_installed_with_hashes(alpha: EnvSpace) -> None:
    env = alpha.ensure()
    _, python, pin, digest = env.lock.splitlines()
    assert python.startswith(f"# python {sys.version.split()[0]} cpython-")
    assert pin == "alpha==2.0 \\"
    assert digest.startswith("    --hash=sha256:")


def test_projects_that_ask_for_the_same_share_an_environment(alpha: EnvSpace) -> None:
    first = alpha.ensure()
    alpha.write({"python_env.yaml": "dependencies: [alpha==2.0]"})
    assert alpha.ensure() == first


def test_environment_is_used_by_its_prefix(alpha: EnvSpace) -> None:
    env = alpha.ensure()
    assert env.prefix is not None
    assert env.path_entries == (env.prefix / "bin",)
    assert env.variables == {"VIRTUAL_ENV": str(env.prefix)}
    assert alpha.python(env, "import sys; print(sys.prefix)") == str(env.prefix)
    assert run(env.prefix / "bin/alpha", directory=alpha.folder) == "2.0"


def test_files_of_an_environment_can_not_be_replaced(alpha: EnvSpace) -> None:
    env = alpha.ensure()
    assert env.prefix is not None
    folders = [path for path in env.prefix.rglob("*") if path.is_dir() and not path.is_symlink()]
    writable = [path.name for path in folders if stat.S_IMODE(path.stat().st_mode) & 0o222]
    assert set(writable) == {"__pycache__"}


def test_store_is_the_users_alone(alpha: EnvSpace) -> None:
    alpha.ensure()
    assert stat.S_IMODE(alpha.root.stat().st_mode) == 0o700


def test_store_that_is_a_link_to_elsewhere_is_refused(alpha: EnvSpace) -> None:
    (alpha.folder / "elsewhere").mkdir()
    alpha.root.symlink_to(alpha.folder / "elsewhere")
    with pytest.raises(EnvError, match="is not a folder of this user"):
        alpha.ensure()


DAMAGE = {
    "interpreter gone": "bin/python",
    "settings gone": "pyvenv.cfg",
    "packages gone": "lib",
}


@pytest.mark.parametrize("gone", DAMAGE.values(), ids=DAMAGE)
def test_damaged_environment_is_built_again(gone: str, alpha: EnvSpace) -> None:
    env = alpha.ensure()
    assert env.prefix is not None
    subprocess.run(["rm", "-rf", str(env.prefix / gone)], check=True)
    again = alpha.ensure()
    assert again.key == env.key
    assert alpha.python(again, "import alpha; print(alpha.version)") == "2.0"
    assert [each.name for each in folders(alpha)] == [again.python.parent.parent.name]


def test_record_that_leads_elsewhere_is_not_followed(alpha: EnvSpace) -> None:
    env = alpha.ensure()
    record = alpha.root / "envs" / f"{env.key}.json"
    record.write_text('{"folder": "../../elsewhere"}')
    assert alpha.ensure().python.is_relative_to(alpha.root / "envs")


def test_remembered_lock_that_can_no_longer_be_had_is_made_anew(space: EnvSpace) -> None:
    space.write({"python_env.yaml": "dependencies: [alpha]"})
    first = space.ensure()
    assert first.prefix is not None
    subprocess.run(["rm", "-rf", str(first.prefix)], check=True)
    (space.wheels / "alpha-2.0-py3-none-any.whl").unlink()
    again = space.ensure()
    assert space.python(again, "import alpha; print(alpha.version)") == "1.0"


def test_steps_that_start_together_share_one_build(alpha: EnvSpace) -> None:
    with ThreadPoolExecutor(6) as pool:
        envs = list(pool.map(lambda _: alpha.ensure(), range(6)))
    assert len({env.prefix for env in envs}) == 1
    assert len([line for line in alpha.said if line.startswith("building")]) == 1


def test_two_processes_build_once(alpha: EnvSpace) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Pool(2) as pool:
        found = pool.starmap(build, [(alpha.folder, alpha.variables)] * 2)
    assert found[0] == found[1]
    assert len(folders(alpha)) == 1


def test_who_waits_for_another_builder_is_told(space: EnvSpace) -> None:
    gate = gated_package(space)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(space.ensure)
        gate.wait_for_build()
        second = pool.submit(space.ensure)
        waiting = "waiting for another flowrun that is building the environment of python_env.yaml"
        until(lambda: waiting in space.said, what="the notice")
        gate.open()
        assert first.result() == second.result()


def test_killed_builder_is_no_obstacle_and_leaves_nothing(space: EnvSpace) -> None:
    gate = gated_package(space)
    context = multiprocessing.get_context("spawn")
    builder = context.Process(target=build, args=(space.folder, space.variables))
    builder.start()
    gate.wait_for_build()
    os.kill(builder.pid or 0, signal.SIGKILL)
    builder.join()
    assert not list((space.root / "envs").glob("*.json"))
    gate.open()
    gate.wait_for_end()
    env = space.ensure()
    assert space.python(env, "import local; print(local.answer)") == "42"
    assert len(folders(space)) == 1
    assert list((space.root / "scratch").iterdir()) == []


def test_interrupted_build_ends_its_programs_and_leaves_nothing(space: EnvSpace) -> None:
    space.write({"python_env.yaml": "dependencies: [alpha]"})
    threads = threading.active_count()

    def interrupted(text: str) -> None:
        if text.startswith("building"):
            raise KeyboardInterrupt

    store = EnvStore(space.root, variables=space.variables, caller_python=Path(sys.executable))
    with pytest.raises(KeyboardInterrupt):
        store.ensure(space.request(), None, interrupted)
    assert folders(space) == []
    assert list((space.root / "scratch").iterdir()) == []
    assert threading.active_count() == threads


@pytest.mark.parametrize("ignores_sigterm", [False, True], ids=["heeding", "stubborn"])
def test_cancelled_build_ends_with_all_its_processes(
    ignores_sigterm: bool, space: EnvSpace
) -> None:
    gate = gated_package(space, ignores_sigterm=ignores_sigterm)
    cancelled = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        build = pool.submit(space.ensure, is_cancelled=cancelled.is_set)
        gate.wait_for_build()
        cancelled.set()
        with pytest.raises(CancelledError, match=r"^cancelled during uv pip install$"):
            build.result(timeout=10)
    gate.wait_for_end()
    assert folders(space) == []
    assert list((space.root / "scratch").iterdir()) == []
    gate.open()
    assert space.python(space.ensure(), "import local; print(local.answer)") == "42"


def test_waiting_for_another_builder_can_be_cancelled(space: EnvSpace) -> None:
    gate = gated_package(space)
    cancelled = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(space.ensure)
        gate.wait_for_build()
        second = pool.submit(space.ensure, is_cancelled=cancelled.is_set)
        until(lambda: any(text.startswith("waiting") for text in space.said), what="the notice")
        cancelled.set()
        with pytest.raises(CancelledError, match="cancelled while another flowrun built its"):
            second.result(timeout=10)
        gate.open()
        assert space.python(first.result(), "import local; print(local.answer)") == "42"


def test_search_for_a_python_can_be_cancelled(space: EnvSpace) -> None:
    space.write({"python_env.yaml": "python: '>=3.8'"})
    with pytest.raises(CancelledError, match=r"^cancelled during `.*uv python list`$"):
        space.ensure(is_cancelled=lambda: True)


def test_full_disk_is_told_and_leaves_nothing(alpha: EnvSpace) -> None:
    alpha.root.mkdir(mode=0o700)
    (alpha.root / "resolved").write_text("in the way")
    with pytest.raises(EnvError) as error:
        alpha.ensure()
    assert str(error.value).startswith(f"Environments can't be kept in {alpha.root}: ")
    assert folders(alpha) == []


def folders(space: EnvSpace) -> list[Path]:
    envs = space.root / "envs"
    return [path for path in envs.iterdir() if path.is_dir()] if envs.exists() else []


def gated_package(space: EnvSpace, *, ignores_sigterm: bool = False) -> Gate:
    """Ask for a package of the project, and give the gate in its build."""
    gate = Gate(space.folder / "gate")
    code = gate.code(ignores_sigterm=ignores_sigterm)
    write_package(space.project / "pkg", "local", "answer = 42\n", extra=code)
    space.write({"python_env.yaml": "dependencies: [./pkg]"})
    return gate


def build(folder: Path, variables: dict[str, str]) -> PrefixEnv:
    """Build the environment of a space, in a process of its own."""
    store = EnvStore(folder / "store", variables=variables, caller_python=Path(sys.executable))
    request = EnvRequest(EnvSpec(EnvKind.IMPLIED), folder / "project")
    env = store.ensure(request, None, lambda _: None)
    assert isinstance(env, PrefixEnv)
    return env
