"""The memo of digests: nothing is read twice, and no change is missed."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from flowrun.engine.cache.digest import digest_of
from flowrun.engine.cache.memo import RACY_NS, DigestMemo

LONG_AGO_NS = 10**18
AT_ONCE_NS = -(10**12)
"""What was changed up to now counts as changed long ago."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "memo" / "digests.db"


def remember(file: Path, path: Path, racy_ns: int = AT_ONCE_NS) -> None:
    memo = DigestMemo(file, racy_ns)
    assert memo.digest_of(path) == digest_of(path)
    memo.close()


def same_but_for_content(path: Path, content: bytes) -> None:
    """Write into a file what no look at it shows, as on a clock that stands still."""
    os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))
    path.write_bytes(content)
    os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))


def test_a_remembered_digest_is_given_without_reading(tmp_path: Path, file: Path) -> None:
    path = tmp_path / "data"
    path.write_text("abc")
    remember(file, path)
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE digests SET sha256 = 'remembered'")
    connection.close()
    memo = DigestMemo(file)
    assert memo.digest_of(path).sha256 == "remembered"
    memo.close()


CHANGES = {
    "content": lambda data: (data / "a").write_text("other"),
    "content of the same length": lambda data: (data / "a").write_text("z"),
    "a file more": lambda data: (data / "c").write_text(""),
    "a file less": lambda data: (data / "a").unlink(),
    "another name": lambda data: (data / "a").rename(data / "z"),
    "a time that was set back": lambda data: same_but_for_content(data / "a", b"z"),
    "another file in its place": lambda data: shutil.copy2(data / "inner" / "b", data / "a"),
    "a link that leads nowhere": lambda data: (data / "l").symlink_to("nowhere"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_every_change_is_seen(change: object, tmp_path: Path, file: Path) -> None:
    data = tmp_path / "data"
    (data / "inner").mkdir(parents=True)
    (data / "a").write_text("1")
    (data / "inner" / "b").write_text("2")
    remember(file, data)
    assert callable(change)
    change(data)
    memo = DigestMemo(file)
    assert memo.digest_of(data) == digest_of(data)
    memo.close()


def test_what_was_changed_a_moment_before_is_not_remembered(tmp_path: Path, file: Path) -> None:
    path = tmp_path / "data"
    path.write_text("abc")
    remember(file, path, RACY_NS)
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT count(*) FROM digests").fetchone() == (0,)
    connection.close()


def test_a_damaged_memo_is_none(tmp_path: Path, file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(b"no database, but long enough to be taken for one" * 100)
    path = tmp_path / "data"
    path.write_text("abc")
    remember(file, path)


def test_a_memo_that_cannot_be_written_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / "data"
    path.write_text("abc")
    remember(tmp_path / "file" / "digests.db", path)
