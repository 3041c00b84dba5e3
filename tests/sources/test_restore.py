"""A recorded tree had again: here, and on another machine."""

from __future__ import annotations

import io
import shutil
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import IO

import pytest

from flowrun.errors import FlowrunError
from flowrun.sources.keeping import kept_pack
from flowrun.sources.restore import OpenPack, Remembered, restore
from flowrun.sources.source import Source
from tests.sources.conftest import Sources
from tests.support.repositories import Repository

FILES = {"MLproject": "name: wine", "sub/train.py": "1", ".gitignore": "*.tmp\n"}


@pytest.fixture
def elsewhere(sources: Sources, tmp_path: Path) -> Sources:
    """Give the cache of another machine."""
    return replace(sources, root=tmp_path / "other-cache", told=[])


def _remembered(source: Source) -> Remembered:
    return Remembered(
        uri=source.uri,
        tree=source.tree,
        subdir=source.subdir,
        commit=source.commit,
        repo_url=source.repo_url,
        ref=source.ref,
        branch=source.branch,
        is_dirty=source.is_dirty,
        diff=source.diff,
    )


def _pack(source: Source, sources: Sources) -> OpenPack:
    file = kept_pack(source, sources.cache)
    content = file.read_bytes() if file else None

    def open_pack() -> AbstractContextManager[IO[bytes]] | None:
        return io.BytesIO(content) if content is not None else None

    return open_pack


def _no_pack() -> None:
    return None


def _again(wanted: Source, open_pack: OpenPack, sources: Sources) -> Source:
    return restore(
        _remembered(wanted), open_pack, cache=sources.cache, progress=sources.told.append
    )


def test_commit_of_a_repository_needs_no_pack(sources: Sources, elsewhere: Sources) -> None:
    wine = Repository.make(sources.cwd / "wine", FILES)
    source = sources.resolve(wine.url + "#sub", "main")
    wine.commit({"sub/train.py": "2"}, "second")
    assert kept_pack(source, sources.cache) is None
    found = _again(source, _no_pack, elsewhere)
    assert elsewhere.files(found) == {"train.py": "1"}
    assert (found.uri, found.commit, found.tree) == (source.uri, source.commit, source.tree)


def test_changed_files_are_had_again_from_the_pushed_commit_and_the_pack(
    sources: Sources, elsewhere: Sources
) -> None:
    upstream = Repository.make(sources.cwd / "upstream", FILES)
    upstream.git("clone", "--quiet", ".", str(sources.cwd / "wine"))
    wine = Repository(sources.cwd / "wine")
    wine.write({"sub/train.py": "2", "new.bin": bytes(range(256)), "latin.txt": b"caf\xe9\n"})
    source = sources.resolve("wine")
    pack = kept_pack(source, sources.cache)
    assert pack is not None
    assert pack.stat().st_size < 1000  # what the commit has is not in it
    open_pack = _pack(source, sources)
    shutil.rmtree(wine.path)
    found = _again(source, open_pack, elsewhere)
    files = elsewhere.cache.project_dir(found)
    assert (files / "sub/train.py").read_text() == "2"
    assert (files / "latin.txt").read_bytes() == b"caf\xe9\n"
    assert (found.is_dirty, found.diff) == (True, source.diff)


@pytest.mark.parametrize("kind", ["no git", "no commit", "no remote", "not pushed", "zip"])
def test_tree_that_nobody_else_has_is_kept_whole(
    sources: Sources, elsewhere: Sources, kind: str
) -> None:
    folder = sources.cwd / "wine"
    uri = "wine"
    match kind:
        case "no git":
            Repository(folder).path.mkdir()
            Repository(folder).write(FILES)
        case "no commit":
            Repository.make(folder).write(FILES)
        case "no remote":
            Repository.make(folder, FILES)
        case "not pushed":
            upstream = Repository.make(sources.cwd / "upstream", {"README": "empty"})
            upstream.git("clone", "--quiet", ".", str(folder))
            Repository(folder).commit(FILES, "second")
        case "zip":
            Repository(folder).path.mkdir()
            Repository(folder).write(FILES)
            shutil.make_archive(str(sources.cwd / "packed"), "zip", folder)
            uri = "packed.zip"
        case _:
            raise AssertionError(kind)
    source = sources.resolve(uri)
    open_pack = _pack(source, sources)
    before = sources.files(source)
    for left in ("wine", "packed.zip", "upstream"):
        path = sources.cwd / left
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    found = _again(source, open_pack, elsewhere)
    assert elsewhere.files(found) == before
    assert before["sub/train.py"] == "1"


def test_tree_that_is_in_the_cache_needs_neither_directory_nor_pack(sources: Sources) -> None:
    wine = Repository.make(sources.cwd / "wine", FILES)
    wine.write({"sub/train.py": "2"})
    source = sources.resolve("wine/sub")
    shutil.rmtree(wine.path)
    assert sources.files(_again(source, _no_pack, sources)) == {"train.py": "2"}


def test_directory_that_nobody_has_changed_is_as_good_as_a_record(
    sources: Sources, elsewhere: Sources
) -> None:
    wine = Repository.make(sources.cwd / "wine", FILES)
    source = sources.resolve("wine")
    assert _again(source, _no_pack, elsewhere).tree == source.tree
    wine.write({"sub/train.py": "3"})
    wine.git("commit", "--quiet", "--all", "--amend", "-m", "other")
    found = _again(source, _no_pack, elsewhere)  # kept since
    assert found.tree == source.tree


def test_tree_that_is_lost_is_said_to_be_lost(sources: Sources, elsewhere: Sources) -> None:
    wine = Repository.make(sources.cwd / "wine", FILES)
    source = sources.resolve("wine")
    shutil.rmtree(wine.path)
    with pytest.raises(
        FlowrunError, match=f"commit {source.commit}.* can't be had again"
    ) as caught:
        _again(source, _no_pack, elsewhere)
    assert "Neither this machine's cache nor the record has it" in str(caught.value)


def test_pack_that_is_damaged_makes_no_tree(sources: Sources, elsewhere: Sources) -> None:
    wine = Repository.make(sources.cwd / "wine", FILES)
    source = sources.resolve("wine")
    shutil.rmtree(wine.path)

    def damaged() -> IO[bytes]:
        return io.BytesIO(b"PACK and nothing more")

    with pytest.raises(FlowrunError, match="the kept pack is damaged"):
        _again(source, damaged, elsewhere)
