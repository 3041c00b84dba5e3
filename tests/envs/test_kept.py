"""What is kept is listed and measured; what nobody needs any more is removed, and only that."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from flowrun.envs.base import PrefixEnv
from flowrun.envs.collecting import Garbage, collect
from flowrun.envs.disk import DiskUse
from flowrun.envs.kept import KeptEnv, KeptEnvs
from flowrun.envs.store import EnvStore
from flowrun.errors import EnvError, NotFoundError, UsageError
from tests.envs.conftest import PYTHON, EnvSpace

FUTURE_MS = 1 << 50


def kept(space: EnvSpace) -> KeptEnvs:
    return KeptEnvs(space.root, space.variables)


def the_one(space: EnvSpace) -> KeptEnv:
    (found,) = kept(space).all()
    return found


def gc(space: EnvSpace, before_ms: int = FUTURE_MS, *, is_dry_run: bool = False) -> Garbage:
    return collect(kept(space), space.root, before_ms, is_dry_run=is_dry_run)


def build(space: EnvSpace, text: str = "dependencies: [alpha]", asker: str = "wine") -> PrefixEnv:
    """Build an environment that nobody uses when this returns."""
    space.write({"python_env.yaml": text})
    store = space.store()
    env = store.ensure(replace(space.request(), asker=asker), None, lambda _: None)
    store.close()
    assert isinstance(env, PrefixEnv)
    return env


def used_at(space: EnvSpace, env: PrefixEnv, seconds: int) -> None:
    os.utime(space.root / "usage" / env.key, (seconds, seconds))


def test_environment_is_listed_with_who_asked_for_it(space: EnvSpace) -> None:
    env = build(space)
    found = the_one(space)
    assert (found.key, found.folder, found.is_in_use) == (env.key, env.prefix, False)
    assert found.facts.backend == "virtualenv"
    assert found.facts.asked_by == ("wine (python_env.yaml)",)
    assert found.lock.read_text() == env.lock
    assert found.disk.size_bytes > 0


def test_projects_that_share_an_environment_are_all_told(space: EnvSpace) -> None:
    build(space)
    build(space, "dependencies: [alpha==2.0]", asker="beer")
    build(space)
    assert the_one(space).facts.asked_by == ("wine (python_env.yaml)", "beer (python_env.yaml)")


def test_last_used_comes_first(space: EnvSpace) -> None:
    first, second = build(space), build(space, "dependencies: [beta]")
    used_at(space, first, 2000)
    used_at(space, second, 1000)
    assert [(env.key, env.last_used_ms) for env in kept(space).all()] == [
        (first.key, 2_000_000),
        (second.key, 1_000_000),
    ]
    build(space, "dependencies: [beta]")
    assert kept(space).all()[0].key == second.key


def test_nothing_is_kept_where_nothing_was_built(space: EnvSpace) -> None:
    assert kept(space).all() == []
    assert gc(space).freed_bytes == 0


def test_environment_is_found_by_the_first_digits_of_its_key(space: EnvSpace) -> None:
    env = build(space)
    build(space, "dependencies: [beta]")
    assert kept(space).find(env.key[:10]).key == env.key
    with pytest.raises(NotFoundError, match="No environment has a key that begins with 'xyz'"):
        kept(space).find("xyz")
    with pytest.raises(UsageError, match="Several environments have a key that begins with ''"):
        kept(space).find("")


def test_only_what_was_not_used_for_long_is_removed(space: EnvSpace) -> None:
    old, new = build(space), build(space, "dependencies: [beta]")
    used_at(space, old, 1000)
    assert [env.key for env in gc(space, 1_000_001).envs] == [old.key]
    assert old.prefix is not None
    assert not old.prefix.exists()
    assert the_one(space).key == new.key
    again = build(space)
    assert again.key == old.key
    assert space.python(again, "import alpha; print(alpha.version)") == "2.0"


def test_dry_run_removes_nothing_and_frees_what_the_real_one_does(space: EnvSpace) -> None:
    build(space)
    build(space, "dependencies: [beta]")
    before = DiskUse.of([space.root / "envs"]).size_bytes
    told = gc(space, is_dry_run=True)
    assert len(kept(space).all()) == 2
    assert gc(space).freed_bytes == told.freed_bytes
    assert kept(space).all() == []
    freed = before - DiskUse.of([space.root / "envs"]).size_bytes
    assert 0 < told.freed_bytes <= freed  # `freed` has files that uv's cache has as well


def test_environment_that_a_flowrun_uses_is_never_removed(space: EnvSpace) -> None:
    space.write({"python_env.yaml": "dependencies: [alpha]"})
    store = space.store()
    store.ensure(space.request(), None, lambda _: None)
    assert the_one(space).is_in_use
    assert gc(space).envs == ()
    store.close()
    assert not the_one(space).is_in_use
    assert len(gc(space).envs) == 1


def test_environment_that_is_removed_while_it_is_asked_for_is_built_again(
    space: EnvSpace,
) -> None:
    """The moment between finding an environment and using it: a remover comes first."""
    env = build(space)

    class Removing(EnvStore):
        """Its environments are removed right after they were found the first time."""

        def _prefix_env(self, *words: object) -> PrefixEnv:
            found = super()._prefix_env(*words)  # type: ignore[arg-type]  # handed on as they are
            if not removed:
                removed.append(gc(space))
            return found

    removed: list[Garbage] = []
    store = Removing(space.root, variables=space.variables, caller_python=PYTHON)
    again = store.ensure(space.request(), None, lambda _: None)
    assert [each.key for each in removed[0].envs] == [env.key]
    assert isinstance(again, PrefixEnv)
    assert space.python(again, "import alpha; print(alpha.version)") == "2.0"
    store.close()


def test_folders_of_killed_builders_are_removed(space: EnvSpace) -> None:
    env = build(space)
    assert env.prefix is not None
    left = env.prefix.with_name(f"{'0' * 12}-abcdef")
    shutil.copytree(env.prefix, left, symlinks=True)
    scratch = space.root / "scratch/left"
    scratch.mkdir()
    assert gc(space, 0, is_dry_run=True).unfinished == (left, scratch)
    assert left.exists()
    gc(space, 0)
    assert not left.exists()
    assert not scratch.exists()
    assert env.prefix.exists()


def test_what_is_not_flowruns_is_not_removed(space: EnvSpace) -> None:
    build(space)
    mine = space.root / "envs/my notes"
    mine.mkdir()
    gc(space)
    assert mine.exists()
    space.root.rename(space.folder / "elsewhere")
    space.root.symlink_to(space.folder / "elsewhere")
    with pytest.raises(EnvError, match="is not a folder of this user"):
        kept(space)


def test_old_conda_archives_are_removed(space: EnvSpace) -> None:
    archives = space.root / "memos/conda/archives"
    archives.mkdir(parents=True)
    space.root.chmod(0o700)
    for name, seconds in (("old", 1000), ("new", 2000)):
        (archives / name).write_bytes(b"x" * 10_000)
        os.utime(archives / name, (seconds, seconds))
    garbage = gc(space, 1_500_000)
    assert garbage.archives == (archives / "old",)
    assert garbage.freed_bytes >= 10_000
    assert [path.name for path in archives.iterdir()] == ["new"]


def test_hard_links_are_counted_once_and_free_nothing_before_the_last(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    (one / "shared").write_bytes(b"x" * 100_000)
    (two / "shared").hardlink_to(one / "shared")
    (two / "again").hardlink_to(one / "shared")
    folders = one.lstat().st_blocks * 512
    first, second, both = DiskUse.of([one]), DiskUse.of([two]), DiskUse.of([one, two])
    assert 100_000 <= first.size_bytes - folders <= 110_000
    assert first.size_bytes == second.size_bytes
    assert both.size_bytes == first.size_bytes + folders
    assert first.freed_bytes == folders
    assert both.freed_bytes == both.size_bytes
    first.add(second)
    assert first == both
