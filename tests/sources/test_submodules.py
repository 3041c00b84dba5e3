from __future__ import annotations

from pathlib import Path

import pytest

from tests.sources.conftest import Sources
from tests.support.repositories import Repository


@pytest.fixture
def library(tmp_path: Path) -> Repository:
    """A library with a submodule of its own."""
    Repository.make(tmp_path / "base", {"base.py": "base"})
    library = Repository.make(tmp_path / "library", {"library.py": "library"})
    library.add_submodule("../base", "deps/base")
    return library


@pytest.fixture
def wine(tmp_path: Path, library: Repository) -> Repository:
    wine = Repository.make(tmp_path / "wine", {"MLproject": "name: wine"})
    wine.add_submodule(f"{library.path}", "libs/library")
    return wine


WHOLE = {
    "MLproject": "name: wine",
    "libs/library/library.py": "library",
    "libs/library/deps/base/base.py": "base",
}


def _project_files(sources: Sources, uri: str, version: str | None = None) -> dict[str, str]:
    files = sources.files(sources.resolve(uri, version))
    return {name: text for name, text in files.items() if not name.endswith(".gitmodules")}


def test_submodules_are_folders_of_the_tree(sources: Sources, wine: Repository) -> None:
    bare = wine.bare(sources.cwd / "wine.git")
    assert _project_files(sources, bare.url) == WHOLE


def test_tree_is_the_same_with_submodules_from_disk(sources: Sources, wine: Repository) -> None:
    wine.git("submodule", "--quiet", "update", "--init", "--recursive")
    on_disk = sources.resolve("wine")
    assert not on_disk.is_dirty
    assert on_disk.commit == wine.head
    assert on_disk.tree == sources.resolve("wine", "main").tree


def test_commit_pins_the_commits_of_its_submodules(
    sources: Sources, wine: Repository, library: Repository
) -> None:
    assert wine.head != library.commit({"library.py": "newer"})
    assert _project_files(sources, "wine", "main") == WHOLE


def test_submodules_in_the_cache_need_no_origin(
    sources: Sources, wine: Repository, library: Repository
) -> None:
    bare = wine.bare(sources.cwd / "wine.git")
    sources.resolve(bare.url)
    for gone in (bare, library):
        gone.path.rename(gone.path.with_name(f"gone-{gone.path.name}"))
    assert _project_files(sources, bare.url, wine.head) == WHOLE


def test_dirty_submodule_is_what_is_on_disk(sources: Sources, wine: Repository) -> None:
    wine.git("submodule", "--quiet", "update", "--init", "--recursive")
    Repository(wine.path / "libs" / "library").write({"library.py": "mine", "new.py": "n"})
    source = sources.resolve("wine")
    assert source.is_dirty
    assert source.diff is not None
    assert "--- a/libs/library/library.py\n+++ b/libs/library/library.py\n" in source.diff
    assert sources.files(source)["libs/library/library.py"] == "mine"
    assert sources.files(source)["libs/library/new.py"] == "n"


def test_submodule_moved_to_another_commit_is_dirty(sources: Sources, wine: Repository) -> None:
    Repository(wine.path / "libs" / "library").commit({"library.py": "moved"})
    source = sources.resolve("wine")
    assert source.is_dirty
    assert source.diff is not None
    assert "+Subproject commit" in source.diff
    assert sources.files(source)["libs/library/library.py"] == "moved"


def test_submodule_that_is_not_checked_out_is_left_out_and_told(
    sources: Sources, wine: Repository, tmp_path: Path
) -> None:
    wine.git("clone", "--quiet", "--no-recurse-submodules", ".", str(tmp_path / "clone"))
    source = sources.resolve("clone")
    assert not source.is_dirty
    assert _project_files(sources, "clone") == {"MLproject": "name: wine"}
    assert "libs/library: this submodule is not checked out, and left out" in sources.told


def test_repository_inside_that_is_no_submodule_is_read_too(
    sources: Sources, wine: Repository
) -> None:
    Repository.make(wine.path / "vendored", {"v.py": "v"})
    Repository.make(wine.path / "fresh").write({"f.py": "f"})
    source = sources.resolve("wine")
    assert source.is_dirty
    assert sources.files(source)["vendored/v.py"] == "v"
    assert sources.files(source)["fresh/f.py"] == "f"


def test_link_to_a_commit_without_a_url_is_left_out_and_told(
    sources: Sources, wine: Repository
) -> None:
    wine.git("rm", "--quiet", "--cached", ".gitmodules")
    wine.git("commit", "--quiet", "--message", "no .gitmodules")
    assert _project_files(sources, "wine", "main") == {"MLproject": "name: wine"}
    line = f"{wine.url}: submodule libs/library has no URL, and is left out"
    assert line in sources.told


def test_lost_submodule_is_named(sources: Sources, wine: Repository, library: Repository) -> None:
    library.path.rename(library.path.with_name("moved"))
    error = sources.error(wine.path, "main")
    assert error.message.startswith(
        f"submodule libs/library: {library.url}: there is no git repository here"
    )


def test_submodule_that_runs_a_command_is_refused(sources: Sources, wine: Repository) -> None:
    wine.git("config", "--file", ".gitmodules", "submodule.libs/library.url", "ext::sh -c x")
    wine.commit({}, "evil")
    assert str(sources.error("wine", "main")) == (
        f"{wine.url}: a submodule has the URL 'ext::sh -c x', which is not allowed"
    )
