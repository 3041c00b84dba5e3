"""Environments are made again from a lock, and a lock from outside can't say what it likes."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from flowrun.envs.base import PrefixEnv
from flowrun.errors import EnvError, SpecError
from tests.envs.conftest import EnvSpace
from tests.envs.wheels import write_package, write_wheel

HEAD = "# env/1\n# python 3.11.7 cpython-311\n"
HASH = "--hash=sha256:" + "0" * 64


def made_again(space: EnvSpace, lock: str, manager: str = "virtualenv") -> PrefixEnv:
    """Have the environment of a lock made by a store that has none yet."""
    shutil.rmtree(space.root, ignore_errors=True)
    request = replace(space.request(), lock=lock)
    env = space.store().ensure(request, manager, space.said.append)
    assert isinstance(env, PrefixEnv)
    return env


@pytest.fixture
def alpha(space: EnvSpace) -> EnvSpace:
    space.write({"python_env.yaml": "dependencies: [alpha]"})
    return space


def test_lock_gives_what_it_was_made_of_after_newer_versions_came(alpha: EnvSpace) -> None:
    first = alpha.ensure()
    write_wheel(alpha.wheels, "alpha", "3.0")
    again = made_again(alpha, first.lock)
    assert (again.key, again.lock) == (first.key, first.lock)
    assert alpha.python(again, "import alpha; print(alpha.version)") == "2.0"


def test_lock_of_a_built_environment_is_found_without_reading_the_project(alpha: EnvSpace) -> None:
    first = alpha.ensure()
    alpha.write({"python_env.yaml": "no: mapping of ours"})
    request = replace(alpha.request(), lock=first.lock)
    alpha.said.clear()
    assert alpha.store().ensure(request, "virtualenv", alpha.said.append) == first
    assert alpha.said == []


def test_lock_with_the_projects_own_package_needs_its_very_files(space: EnvSpace) -> None:
    write_package(space.project / "pkg", "gamma", "version = 1")
    space.write({"python_env.yaml": "dependencies: [./pkg, alpha]"})
    lock = space.ensure().lock
    assert space.python(made_again(space, lock), "import gamma; print(gamma.version)") == "1"
    write_package(space.project / "pkg", "gamma", "version = 2")
    with pytest.raises(EnvError, match=r"the files of '\./pkg' are not those that the lock was"):
        made_again(space, lock)


def test_package_that_is_gone_is_named(alpha: EnvSpace) -> None:
    lock = alpha.ensure().lock
    for wheel in alpha.wheels.glob("alpha-2*"):
        wheel.unlink()
    alpha.variables["UV_CACHE_DIR"] = str(alpha.folder / "cache")
    with pytest.raises(EnvError) as error:
        made_again(alpha, lock)
    assert "no version of 'alpha" in error.value.message
    assert error.value.hint is not None
    assert error.value.hint.startswith("The lock asks for exactly this; resolve anew")


def test_package_with_another_hash_is_named(alpha: EnvSpace) -> None:
    lock = alpha.ensure().lock
    write_wheel(alpha.wheels, "alpha", "2.0", scripts=["other = alpha:main"])
    alpha.variables["UV_CACHE_DIR"] = str(alpha.folder / "cache")
    with pytest.raises(EnvError) as error:
        made_again(alpha, lock)
    assert "alpha==2.0" in error.value.message
    assert "is not the one whose hash" in error.value.message


HOSTILE = {
    "an index": ("--index-url https://evil.example/simple", "is an option, and a lock has none"),
    "an option behind a space": ("  --no-verify-hashes", "is an option, and a lock has none"),
    "an editable": ("-e ./pkg", "is an option, and a lock has none"),
    "an option of a requirement": (
        f"alpha==1.0 {HASH} --config-settings=x=y",
        "the only option of a requirement is --hash",
    ),
    "an address": (
        f"alpha @ https://evil.example/alpha-1.0-py3-none-any.whl {HASH}",
        "is at an address that the project does not ask for",
    ),
    "a repository": (
        "alpha @ git+https://evil.example/alpha.git@" + "0" * 40,
        "is at an address that the project does not ask for",
    ),
    "another scheme": ("alpha @ ext::sh", "is neither a requirement nor a file"),
    "no hash": ("alpha==1.0", "has no hash"),
    "no version": (f"alpha {HASH}", "names no exact version"),
    "a range": (f"alpha==1.*,>=1 {HASH}", "names no exact version"),
    "a folder": ("./pkg", "is a folder or file without its sha256"),
    "a folder outside": (
        "../../../etc  # sha256:" + "0" * 64 + " of its files",
        "neither a requirement",
    ),
    "flowrun": (f"flowrun==1.0 {HASH}", "somebody else's package"),
    "a control character": (f"alpha==1.0\x1b[31m {HASH}", "printable text"),
}


@pytest.mark.parametrize(("line", "problem"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_lock_is_refused_at_its_line(line: str, problem: str, alpha: EnvSpace) -> None:
    (alpha.project / "pkg").mkdir()
    (alpha.project / "pkg/pyproject.toml").touch()
    with pytest.raises(SpecError) as error:
        made_again(alpha, f"{HEAD}{line}\n")
    assert str(error.value.problems[0]).startswith("lock of python_env.yaml:3:1: ")
    assert problem in error.value.message


def test_text_that_is_no_lock_is_refused(alpha: EnvSpace) -> None:
    with pytest.raises(SpecError) as error:
        made_again(alpha, "alpha==1.0\n")
    assert error.value.message == (
        "lock of python_env.yaml:1:1: this is no lock that this flowrun understands: it begins "
        "'alpha==1.0', not # env/1"
    )


def test_lock_for_a_python_that_is_not_here_is_refused(alpha: EnvSpace) -> None:
    lock = alpha.ensure().lock
    python = lock.splitlines()[1]
    with pytest.raises(EnvError, match="which this machine can't run"):
        made_again(alpha, lock.replace(python, f"{python}-musl"))
    with pytest.raises(EnvError, match=r"Python 3\.11\.99 is not installed"):
        made_again(alpha, lock.replace(python, "# python 3.11.99 cpython-311"))
