"""Environments are resolved to locks that keep what is locked and hold no secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from flowrun.envs.base import NO_WISH, Wish
from flowrun.envs.contents import changes_of, versions_of
from flowrun.envs.lock import with_digests, without_digests
from flowrun.errors import EnvError, UsageError
from tests.envs.conftest import EnvSpace
from tests.envs.index import private_index
from tests.envs.wheels import write_package, write_wheel
from tests.support.repositories import Repository


def resolved(space: EnvSpace, wish: Wish = NO_WISH) -> str:
    """Resolve, and look that nothing is left of it but the lock."""
    request = replace(space.request(), wish=wish)
    lock = space.store().resolve(request, None, space.said.append)
    assert not list(space.root.glob("envs/*"))
    assert not list(space.root.glob("scratch/*"))
    return lock


def ask(space: EnvSpace, *lines: str) -> None:
    space.write({"python_env.yaml": "dependencies:\n" + "".join(f"- {line}\n" for line in lines)})


def test_resolving_the_same_gives_the_same_bytes(space: EnvSpace) -> None:
    ask(space, "alpha", "beta")
    assert resolved(space) == resolved(space)


def test_lock_is_the_one_that_a_run_would_make(space: EnvSpace) -> None:
    ask(space, "beta")
    assert resolved(space) == space.ensure().lock


MACHINES = {
    "linux-aarch64": "cpython-311-aarch64-linux-gnu",
    "osx-64": "cpython-311-darwin",
    "osx-arm64": "cpython-311-darwin",
}


@pytest.mark.parametrize(("platform", "abi"), MACHINES.items(), ids=MACHINES)
def test_another_platform_gets_what_its_markers_ask_for(
    platform: str, abi: str, space: EnvSpace
) -> None:
    ask(space, "alpha==1.0; sys_platform == 'linux'", "alpha==2.0; sys_platform == 'darwin'")
    lock = resolved(space, Wish(platform=platform))
    assert lock.splitlines()[1].endswith(f" {abi}")
    expected = "1.0" if platform.startswith("linux") else "2.0"
    assert versions_of(lock)["alpha"] == expected


def test_unknown_platform_is_refused(space: EnvSpace) -> None:
    ask(space, "alpha")
    with pytest.raises(UsageError, match="'amiga' is no platform that flowrun locks for"):
        resolved(space, Wish(platform="amiga"))


def test_what_is_locked_stays_and_what_is_named_does_not(space: EnvSpace) -> None:
    ask(space, "alpha", "gamma")
    write_wheel(space.wheels, "gamma", "1.0")
    lock = resolved(space)
    write_wheel(space.wheels, "alpha", "3.0")
    write_wheel(space.wheels, "gamma", "2.0")
    assert resolved(space, Wish(kept=lock)) == lock
    some = resolved(space, Wish(kept=lock, upgraded=frozenset({"gamma"})))
    assert changes_of(lock, some) == ["gamma 1.0 -> 2.0"]
    ask(space, "alpha>2", "gamma")
    assert changes_of(lock, resolved(space, Wish(kept=lock))) == ["alpha 2.0 -> 3.0"]


def test_branch_is_locked_to_its_commit_until_it_is_upgraded(space: EnvSpace) -> None:
    write_package(space.folder / "repo", "delta", "version = 1\n")
    repository = Repository.make(space.folder / "repo")
    repository.git("add", "--all")
    repository.git("commit", "--quiet", "-m", "first")
    first = repository.head
    ask(space, f"delta @ git+{repository.url}@main")
    lock = resolved(space)
    assert f"@{first}" in lock
    second = repository.commit({"delta.py": "version = 2\n"}, "second")
    assert resolved(space, Wish(kept=lock)) == lock
    upgraded = resolved(space, Wish(kept=lock, upgraded=frozenset({"delta"})))
    assert f"@{second}" in upgraded


def test_address_is_locked_with_its_sha256_and_without_its_password(space: EnvSpace) -> None:
    with private_index(space.wheels) as index:
        ask(space, f"alpha @ {index.url('files/alpha-2.0-py3-none-any.whl')}")
        lock = resolved(space)
    assert "    --hash=sha256:" in lock
    assert "secret" not in lock
    assert f"alpha @ http://127.0.0.1:{index.port}/files/alpha-2.0" in lock


def test_what_would_have_to_be_built_is_not_without_leave(space: EnvSpace) -> None:
    write_package(space.project / "pkg", "gamma", "", extra="raise SystemExit('built')")
    ask(space, "./pkg")
    assert "./pkg" in resolved(space, Wish(may_build=False))
    description = space.project / "pkg/pyproject.toml"
    text = description.read_text().replace('version = "1"', "dynamic = ['version']")
    description.write_text(text)
    with pytest.raises(EnvError, match="what 'gamma' needs can't be told without building it"):
        resolved(space, Wish(may_build=False))


CHANGES: Mapping[str, tuple[str, str, list[str]]] = {
    "pip": (
        "# env/1\n# python 3.11.7 cpython-311\nA_b==1 \\\n    --hash=sha256:1\n",
        "# env/1\n# python 3.11.8 cpython-311\na_b[x]==2 ; python_version < '4'\nnew @ https://x/y\n",
        ["a_b 1 -> 2", "+ new https://x/y", "python 3.11.7 -> 3.11.8"],
    ),
    "conda": (
        "- conda: https://c/noarch/python-dateutil-2.9.0-py_0.conda\n# click==8 \\\n",
        "- conda: https://c/noarch/python-dateutil-3.0-py_0.tar.bz2\n# click==9 \\\n",
        ["click 8 -> 9", "python-dateutil 2.9.0-py_0 -> 3.0-py_0"],
    ),
    "image": (
        f"image: x\ndigest: h/x@sha256:{'0' * 64}\n",
        f"image: x\ndigest: h/x@sha256:{'1' * 64}\n",
        [f"digest sha256:{'0' * 64} -> sha256:{'1' * 64}"],
    ),
    "nothing left": ("six==1\n", "", ["- six 1"]),
}


@pytest.mark.parametrize(("before", "after", "told"), CHANGES.values(), ids=CHANGES)
def test_what_changes_is_told_a_package_a_line(before: str, after: str, told: list[str]) -> None:
    assert changes_of(before, after) == told


def test_digests_of_the_projects_own_packages_are_taken_out_and_put_back() -> None:
    lock = f"# env/1\nalpha==1\n./pkg[x]  # sha256:{'a' * 64} of its files\n"
    bare = without_digests(lock)
    assert bare == "# env/1\nalpha==1\n./pkg[x]  # of this project\n"
    assert with_digests(bare, lambda text: {"./pkg[x]": "a" * 64}[text]) == lock
    inside = "".join(f"# {line}\n" for line in lock.splitlines())
    assert with_digests(without_digests(inside), lambda _: "a" * 64) == inside


def test_what_is_asked_for_is_told_with_its_line_and_without_secrets(space: EnvSpace) -> None:
    space.write(
        {
            "limits.txt": "alpha<9\n",
            "more.txt": "--index-url https://me:secret@host/simple\nalpha>1 ; python_version>'3'\n",
        }
    )
    ask(space, "beta", "-c limits.txt", "-r more.txt")
    told = {each.text: str(each.mark) for each in space.store().asks(space.request(), None)}
    assert told == {
        "beta": "python_env.yaml:2:3",
        "-c alpha<9": "limits.txt:1:1",
        "alpha>1 ; python_version>'3'": "more.txt:2:1",
        "--index-url https://host/simple": "python_env.yaml:1:1",
    }
