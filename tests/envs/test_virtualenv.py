"""What goes on between the virtualenv backend, uv and package indexes."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowrun.envs.base import PrefixEnv
from flowrun.errors import EnvError
from tests.envs.conftest import EnvSpace
from tests.envs.index import Index, private_index
from tests.envs.wheels import write_package, write_wheel


@pytest.fixture
def index(space: EnvSpace) -> Iterator[Index]:
    """An index behind a login, which the space is not told of."""
    del space.variables["PIP_FIND_LINKS"], space.variables["PIP_NO_INDEX"]
    space.variables.update(UV_HTTP_RETRIES="0", UV_CACHE_DIR=str(space.folder / "cache"))
    with private_index(space.wheels) as running:
        yield running


WAYS = {
    "uv's variable": ({"UV_DEFAULT_INDEX": "{url}"}, "alpha"),
    "pip's variable": ({"PIP_INDEX_URL": "{url}"}, "alpha"),
    "a requirements file": ({}, "--index-url {url}\nalpha"),
    "a requirements file with a variable": (
        {"PASSWORD": "secret"},
        "--index-url http://me:${{PASSWORD}}@{place}/simple\nalpha",
    ),
    "an address": ({}, "alpha @ http://me:secret@{place}/files/alpha-2.0-py3-none-any.whl"),
    "an address with a variable": (
        {"PASSWORD": "secret"},
        "alpha @ http://me:${{PASSWORD}}@{place}/files/alpha-2.0-py3-none-any.whl",
    ),
}


@pytest.mark.parametrize(("variables", "lines"), WAYS.values(), ids=WAYS)
def test_private_index_works_and_its_password_is_kept_nowhere(
    variables: dict[str, str], lines: str, space: EnvSpace, index: Index
) -> None:
    url, place = index.url("simple"), f"127.0.0.1:{index.port}"
    space.variables.update({name: text.format(url=url) for name, text in variables.items()})
    space.write(
        {
            "python_env.yaml": "dependencies: ['-r r.txt']",
            "r.txt": lines.format(url=url, place=place),
        }
    )
    env = space.ensure()
    assert space.python(env, "import alpha; print(alpha.version)") == "2.0"
    again = built_again(space, env)
    assert space.python(again, "import alpha; print(alpha.version)") == "2.0"
    kept = [path.read_bytes() for path in space.root.rglob("*") if path.is_file()]
    assert not [text for text in kept if b"secret" in text]
    assert not [text for text in [env.lock, *space.said] if "secret" in text]


def test_refused_login_is_told(space: EnvSpace, index: Index) -> None:
    space.variables["UV_DEFAULT_INDEX"] = index.url("simple", login="")
    space.write({"python_env.yaml": "dependencies: [alpha]"})
    with pytest.raises(EnvError) as error:
        space.ensure()
    assert error.value.message == (
        "environment of python_env.yaml: uv pip compile exited with 1: the package index refuses "
        "the login."
    )


def test_lock_names_no_index(space: EnvSpace, index: Index) -> None:
    space.variables["UV_DEFAULT_INDEX"] = index.url("simple")
    space.write({"python_env.yaml": "dependencies: [beta]"})
    assert "://" not in space.ensure().lock


def test_exact_lock_is_built_though_newer_versions_appeared(space: EnvSpace) -> None:
    space.write({"python_env.yaml": "dependencies: [alpha]"})
    env = space.ensure()
    write_wheel(space.wheels, "alpha", "3.0")
    again = built_again(space, env)
    assert space.python(again, "import alpha; print(alpha.version)") == "2.0"


def test_file_that_was_changed_on_the_index_is_not_installed(space: EnvSpace, index: Index) -> None:
    space.variables["UV_DEFAULT_INDEX"] = index.url("simple")
    space.write({"python_env.yaml": "dependencies: [alpha==1.0]"})
    env = space.ensure()
    write_wheel(space.wheels, "alpha", "1.0", files={"alpha.py": "version = 'other'"})
    shutil.rmtree(space.folder / "cache")
    again = built_again(space, env)
    assert again.key != env.key


def test_git_requirement_is_locked_to_its_commit(space: EnvSpace) -> None:
    repository = space.folder / "repository"
    write_package(repository, "local", "answer = 42\n")
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-C", str(repository)]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *words], check=True)
    done = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    space.write({"python_env.yaml": f"dependencies: ['local @ git+file://{repository}']"})
    env = space.ensure()
    assert space.python(env, "import local; print(local.answer)") == "42"
    assert env.lock.splitlines()[2] == f"local @ git+file://{repository}@{done.stdout.strip()}"


def test_bare_environment_is_made_once_for_each_python(space: EnvSpace) -> None:
    for line in ("alpha==1.0", "alpha==2.0"):
        space.write({"python_env.yaml": f"dependencies: [{line}]"})
        space.ensure()
    assert len(list(space.root.glob("memos/bare-*"))) == 1


def test_virtualenv_settings_of_the_caller_do_not_reach_the_environment(space: EnvSpace) -> None:
    space.variables.update(VIRTUALENV_SYSTEM_SITE_PACKAGES="1", VIRTUALENV_SEEDER="no-such")
    env = space.ensure()
    code = "import importlib.util; print(importlib.util.find_spec('pytest'))"
    assert space.python(env, code) == "None"


@pytest.mark.slow
def test_packages_of_the_public_index_work(space: EnvSpace) -> None:
    """Compiled packages, build dependencies, a marker and an extra, as projects have them."""
    del space.variables["PIP_FIND_LINKS"], space.variables["PIP_NO_INDEX"]
    del space.variables["UV_CACHE_DIR"]
    space.write(
        {
            "python_env.yaml": "build_dependencies: [pip, setuptools, wheel]\n"
            "dependencies: ['-r requirements.txt']\n",
            "requirements.txt": "numpy>=1.26\nrequests[socks]; sys_platform != 'win32'\n",
        }
    )
    env = space.ensure()
    code = "import numpy, requests, socks, pip; print(int(numpy.ones(3).sum()))"
    assert space.python(env, code) == "3"
    assert "PySocks==" in env.lock or "pysocks==" in env.lock


def built_again(space: EnvSpace, env: PrefixEnv) -> PrefixEnv:
    """Lose the environment, keep what was resolved, and ask again."""
    shutil.rmtree(Path(env.prefix or ""))
    return space.ensure()
