"""Remembers digests of files by what `stat` says, so that what has not changed is not read again.

A file counts as unchanged if its size, inode, modification and change times are what they were;
the last can't be set by hand. As in git's index, what was changed a moment before it was read is
not remembered: another change within the same tick of the clock would look the same. A directory
is remembered as a whole, by the list of what `stat` says of all files in it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path

from flowrun.engine.cache.digest import Digest, digest_of, file_digest, files_below

RACY_NS = 2_000_000_000
"""The coarsest clock of a file system in use (FAT): 2 s."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS digests (
    path BLOB PRIMARY KEY,
    facts TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    size_bytes INTEGER NOT NULL
) WITHOUT ROWID
"""
_READ = "SELECT facts, sha256, size_bytes FROM digests WHERE path = ?"
_WRITE = "INSERT OR REPLACE INTO digests VALUES (?, ?, ?, ?)"
_SIZES = "SELECT path, length(path) + length(facts) + length(sha256) + 8 FROM digests"
_FORGET = "DELETE FROM digests WHERE path = ?"
_BUSY_TIMEOUT_S = 10.0


class DigestMemo:
    """Digests of local files and directories; safe for many threads and flowruns at once.

    What can't be remembered (the disk is full, the file is damaged) is digested again each time.
    """

    def __init__(
        self,
        file: Path,
        racy_ns: int = RACY_NS,
        is_cancelled: Callable[[], bool] | None = None,
    ) -> None:
        """Open it.

        Args:
            file: an SQLite database in a folder of flowrun's own; made when first needed.
            racy_ns: a change is remembered when it is older than this.
            is_cancelled: asked while large files are read; a yes is a CancelledError.
        """
        self._file = file
        self._racy_ns = racy_ns
        self._is_cancelled = is_cancelled
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._new: dict[bytes, tuple[str, str, int]] = {}

    def digest_of(self, path: Path) -> Digest:
        """Digest a file or a directory. Raises OSError, also for a thing that is neither."""
        if path.is_dir():
            return self._digest_directory(path)
        return self._digest_file(path)

    def keep(self) -> None:
        """Write down what was learnt since the last time."""
        with self._lock:
            learnt, self._new = self._new, {}
            if learnt and (connection := self._open()):
                rows = ((path, *row) for path, row in learnt.items())
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("BEGIN IMMEDIATE")
                    connection.executemany(_WRITE, rows)
                    connection.execute("COMMIT")

    def forget_missing(self, *, is_dry_run: bool) -> tuple[int, int]:
        """Forget what is not there any more; give how many digests, and their bytes.

        Args:
            is_dry_run: tell only what would be forgotten.
        """
        with self._lock:
            connection = self._open() if self._file.exists() else None
            if connection is None:
                return 0, 0
            try:
                rows = connection.execute(_SIZES).fetchall()
                gone = [(path, size) for path, size in rows if not os.path.lexists(path)]
                if gone and not is_dry_run:
                    connection.execute("BEGIN IMMEDIATE")
                    connection.executemany(_FORGET, [(path,) for path, _ in gone])
                    connection.execute("COMMIT")
                    connection.execute("VACUUM")
            except sqlite3.Error:
                return 0, 0  # damaged, or in use for long: the next time
        return len(gone), sum(size for _, size in gone)

    def close(self) -> None:
        """Write down what was learnt, and close the file."""
        self.keep()
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _digest_file(self, path: Path) -> Digest:
        began_ns = time.time_ns()
        seen = path.stat()
        if not stat.S_ISREG(seen.st_mode):
            return digest_of(path)  # which says what is wrong with it
        key, facts = os.fsencode(path.absolute()), _facts(seen)
        if known := self._known(key, facts):
            return Digest(*known, is_directory=False)
        digest = file_digest(path, self._is_cancelled)
        if self._is_settled(seen, began_ns) and _facts(path.stat()) == facts:
            self._learn(key, facts, digest)
        return digest

    def _digest_directory(self, path: Path) -> Digest:
        began_ns = time.time_ns()
        lines: list[str] = []
        is_settled = True
        for each in files_below(path):
            if each.is_file:
                seen = each.path.stat()
                is_settled &= self._is_settled(seen, began_ns)
                lines.append(f"{each.shown}\0{_facts(seen)}")
            else:
                lines.append(f"{each.shown}\0{each.says}")
        listed = "\0".join(sorted(lines))
        key = os.fsencode(path.absolute()) + b"/"
        facts = hashlib.sha256(os.fsencode(listed)).hexdigest()
        if known := self._known(key, facts):
            return Digest(*known, is_directory=True)
        digest = digest_of(path, self._digest_file)
        if is_settled:
            self._learn(key, facts, digest)
        return digest

    def _is_settled(self, seen: os.stat_result, now_ns: int) -> bool:
        """Tell whether it was last changed so long ago that the next change will show."""
        return max(seen.st_mtime_ns, seen.st_ctime_ns) < now_ns - self._racy_ns

    def _known(self, key: bytes, facts: str) -> tuple[str, int] | None:
        with self._lock:
            row = self._new.get(key) or self._read(key)
        return (row[1], row[2]) if row is not None and row[0] == facts else None

    def _read(self, key: bytes) -> tuple[str, str, int] | None:
        connection = self._open()
        if connection is None:
            return None
        try:
            row = connection.execute(_READ, (key,)).fetchone()
        except sqlite3.Error:
            return None
        return None if row is None else (str(row[0]), str(row[1]), int(row[2]))

    def _learn(self, key: bytes, facts: str, digest: Digest) -> None:
        with self._lock:
            self._new[key] = (facts, digest.sha256, digest.size_bytes)

    def _open(self) -> sqlite3.Connection | None:
        if self._connection is None:
            try:
                self._connection = _connected(self._file)
            except (OSError, sqlite3.Error):
                return None
        return self._connection


def _connected(file: Path) -> sqlite3.Connection:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(file, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(
        file, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # A memo: what a power cut takes is digested again.
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(_SCHEMA)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _facts(seen: os.stat_result) -> str:
    return f"{seen.st_size} {seen.st_mtime_ns} {seen.st_ctime_ns} {seen.st_dev} {seen.st_ino}"
