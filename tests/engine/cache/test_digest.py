from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from flowrun.engine.cache.digest import digest_of


def _tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_a_files_digest_is_the_sha256_of_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"abc")
    digest = digest_of(path)
    assert digest.sha256 == hashlib.sha256(b"abc").hexdigest()
    assert (digest.size_bytes, digest.is_directory) == (3, False)


def test_equal_directories_have_equal_digests_wherever_they_are(tmp_path: Path) -> None:
    files = {"b.txt": "2", "a/z.txt": "1", "a-b.txt": "3"}
    one = _tree(tmp_path / "one", files)
    two = _tree(tmp_path / "two" / "deeper", dict(reversed(files.items())))
    assert digest_of(one) == digest_of(two)
    assert digest_of(one).size_bytes == 3


CHANGES = {
    "content": {"a.txt": "other", "d/b.txt": "2"},
    "name": {"c.txt": "1", "d/b.txt": "2"},
    "folder": {"a.txt": "1", "e/b.txt": "2"},
    "one file more": {"a.txt": "1", "d/b.txt": "2", "new": ""},
    "contents moved": {"a.txt": "2", "d/b.txt": "1"},
}


@pytest.mark.parametrize("changed", CHANGES.values(), ids=CHANGES.keys())
def test_every_change_changes_the_digest(tmp_path: Path, changed: dict[str, str]) -> None:
    before = _tree(tmp_path / "before", {"a.txt": "1", "d/b.txt": "2"})
    assert digest_of(before).sha256 != digest_of(_tree(tmp_path / "after", changed)).sha256


def test_a_link_is_what_it_leads_to(tmp_path: Path) -> None:
    plain = _tree(tmp_path / "plain", {"a.txt": "1", "d/b.txt": "2", "e/b.txt": "2"})
    linked = _tree(tmp_path / "linked", {"d/b.txt": "2"})
    (tmp_path / "elsewhere.txt").write_text("1")
    (linked / "a.txt").symlink_to("../elsewhere.txt")
    (linked / "e").symlink_to("d")
    assert digest_of(linked) == digest_of(plain)


def test_links_in_a_circle_and_to_nothing_and_pipes_are_not_followed(tmp_path: Path) -> None:
    def make(name: str, target: str) -> str:
        folder = _tree(tmp_path / name, {"a.txt": "1"})
        (folder / "up").symlink_to("..")
        (folder / "self").symlink_to("self")
        (folder / "link").symlink_to(target)
        os.mkfifo(folder / "pipe")
        return digest_of(folder).sha256

    assert make("one/x", "nowhere") == make("two/x", "nowhere") != make("three/x", "nothing")


def test_names_that_look_like_lines_do_not_collide(tmp_path: Path) -> None:
    empty = hashlib.sha256(b"").hexdigest()
    two = _tree(tmp_path / "two", {"a": "", "b": ""})
    one = _tree(tmp_path / "one", {f"a\nfile {empty} b": ""})
    assert digest_of(one).sha256 != digest_of(two).sha256


def test_a_pipe_has_no_digest(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="is neither a file nor a directory"):
        digest_of(tmp_path / "pipe")
