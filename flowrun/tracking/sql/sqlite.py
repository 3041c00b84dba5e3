"""A store's database in SQLite: opening it, transactions, and SQLite's errors in plain words.

Statements run on the driver's own connection. Importing SQLAlchemy, SQLModel and Alembic costs
more than a whole `flowrun run` may take, so they are loaded only to upgrade a store that an older
flowrun made (docs/decisions/0001-store.md).
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import os
import sqlite3
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path

from flowrun.errors import StoreError
from flowrun.tracking.pace import Pace
from flowrun.tracking.sql.database import (
    REVISION,
    A,
    B,
    Connection,
    Durability,
    WriteAll,
    unfit_value,
    write_alone,
)
from flowrun.tracking.sql.sqlite_joined import JoinedWriter

APPLICATION_ID = 0x666C6F77
"""`flow`, in the header of the file, tells a flowrun store from any other SQLite database.

Source: https://www.sqlite.org/pragma.html#pragma_application_id
"""

_REGEX = "flowrun.tracking.safe_regex"
_SCHEMA = Path(__file__).with_name("schema.sql")

_PLAIN_WORDS = {
    sqlite3.SQLITE_FULL: ("the disk is full", "Free some space; nothing was half written."),
    sqlite3.SQLITE_BUSY: (
        "another process keeps it locked",
        "Try again once it is done; nothing was written.",
    ),
    sqlite3.SQLITE_READONLY: ("it can't be written to", "Check the permissions of its folder."),
    sqlite3.SQLITE_PERM: ("access is denied", "Check the permissions of its folder."),
    sqlite3.SQLITE_CANTOPEN: ("it can't be opened", "Check that it is a file you may read."),
    sqlite3.SQLITE_NOTADB: (
        "it is not a SQLite database",
        "Give another path, or move the file away.",
    ),
    sqlite3.SQLITE_CORRUPT: (
        "it is damaged",
        "Restore it from a backup, or save what can be read with `sqlite3 FILE .recover`.",
    ),
    sqlite3.SQLITE_IOERR: ("its disk failed to read or write", "Check the disk and its space."),
}


class SqliteDatabase:
    """A SQLite file; a transaction borrows a connection that is idle, or opens one."""

    def __init__(
        self,
        path: Path,
        *,
        busy_timeout_s: float = 60.0,
        durability: Durability = Durability.NORMAL,
    ) -> None:
        self.path = path
        self.name = str(path)
        self.pace = Pace.AT_ONCE if durability is Durability.NORMAL else Pace.BLOCKING
        self._busy_timeout_s = busy_timeout_s
        self._durability = durability
        self._idle: deque[sqlite3.Connection] = deque()
        self._joined = JoinedWriter(self._connect)

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Give a connection that sees one state of the store until the end."""
        with self._transaction("BEGIN") as connection:
            yield connection

    @contextlib.contextmanager
    def write(self, *names: str, is_patient: bool = True) -> Iterator[sqlite3.Connection]:
        """Give a connection whose changes are all kept at the end, or none on any error."""
        del names, is_patient  # SQLite's writers all wait for each other here
        if self._durability is Durability.FULL:
            with self._plain_errors(), self._joined.write() as connection:
                yield connection
            return
        with self._transaction("BEGIN IMMEDIATE") as connection:
            yield connection

    def write_together(self, write: WriteAll[A, B], item: A) -> B:
        """Write an item by itself: here transactions cost little, or share their commits anyway."""
        return write_alone(write, item)

    def skip_numbers(self, connection: Connection, table: str, column: str, number: int) -> None:
        """Do nothing: AUTOINCREMENT looks at the highest number there ever was."""

    def revision(self) -> str | None:
        """Give the newest migration that was run here; None if there is no file."""
        if _is_absent(self.path):
            return None
        with self.read() as connection:
            (application_id,) = connection.execute("PRAGMA application_id").fetchone()
            if application_id != APPLICATION_ID:
                raise StoreError(
                    f"store {self.path}: it is a SQLite database, but no flowrun store",
                    "Give another path. A database of MLflow's own can't be used in place.",
                )
            (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            return str(revision)

    def migrate(self) -> None:
        """Make the store, or upgrade it, with a copy of what it was left beside it."""
        try:
            if _is_absent(self.path):
                _create(self.path)
        except (OSError, sqlite3.Error) as error:
            raise store_error(self.path, error) from error
        if self.revision() == REVISION:
            return
        with _lock(self.path):
            revision = self.revision()
            if revision != REVISION:
                # By name: it imports Alembic and SQLAlchemy, which an up-to-date store never needs.
                upgrade = importlib.import_module("flowrun.tracking.sql.upgrade")
                upgrade.upgrade(self.path, revision)

    def back_up(self, into: Path, variables: Mapping[str, str]) -> None:
        """Copy the store to another file."""
        del variables
        # By name: what copies PostgreSQL's stores has imports that nobody else needs.
        backup = importlib.import_module("flowrun.tracking.sql.backup")
        with self._plain_errors():
            backup.copy_sqlite(self.path, into)

    def close(self) -> None:
        """Close all idle connections."""
        self._joined.close()
        while self._idle:
            self._idle.pop().close()

    @contextlib.contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        with self._plain_errors():
            connection = self._borrow()
            try:
                connection.execute(begin)
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                self._roll_back(connection)
                raise
            self._idle.append(connection)

    def _roll_back(self, connection: sqlite3.Connection) -> None:
        try:
            connection.rollback()
        except sqlite3.Error:
            # A connection that can't even roll back is not used again; closing it does.
            connection.close()
        else:
            self._idle.append(connection)

    def _borrow(self) -> sqlite3.Connection:
        try:
            return self._idle.pop()
        except IndexError:
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        return _connect(self.path, self._busy_timeout_s, self._durability)

    @contextlib.contextmanager
    def _plain_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise store_error(self.path, error) from error
        except (UnicodeEncodeError, OverflowError) as error:
            raise unfit_value(error) from error


def open_sqlite(
    path: Path, *, busy_timeout_s: float = 60.0, durability: Durability = Durability.NORMAL
) -> SqliteDatabase:
    """Open a store's database; make it if the file is absent or empty, upgrade it if it is older.

    Args:
        path: made with mode 0600, folders that are missing with 0700.
        busy_timeout_s: how long a writer waits for another one before it gives up.
        durability: what an answered write survives.

    Raises:
        StoreError: it can't be opened, is no flowrun store, or a newer flowrun made it.
    """
    database = SqliteDatabase(path, busy_timeout_s=busy_timeout_s, durability=durability)
    try:
        database.migrate()
    except BaseException:
        database.close()
        raise
    return database


def store_error(path: Path, error: OSError | sqlite3.Error) -> StoreError:
    """Give the plain words for an error of the disk or of SQLite."""
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename not in {None, str(path)} else ""
        return StoreError(f"store {path}: {where}{error.strerror or error}")
    # A negative code is Python's own misuse of the driver: a bug, told as it is.
    code = getattr(error, "sqlite_errorcode", -1) & 0xFF
    reason, hint = _PLAIN_WORDS.get(code, (str(error), None))
    return StoreError(f"store {path}: {reason}", hint)


def _is_absent(path: Path) -> bool:
    return not path.exists() or (path.is_file() and path.stat().st_size == 0)


def _create(path: Path) -> None:
    """Build the database beside its place and put it there whole.

    Two processes may come here at once: the second waits for the lock, and finds it done.
    """
    for folder in reversed(path.absolute().parents):
        # Not `parents=True`, which makes the folders between with the mode of the umask.
        folder.mkdir(mode=0o700, exist_ok=True)
    with _lock(path):
        if not _is_absent(path):
            return
        building = path.with_name(f"{path.name}.new")
        building.unlink(missing_ok=True)
        os.close(os.open(building, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        try:
            with contextlib.closing(_connect(building, 0, Durability.NORMAL)) as connection:
                # Nobody else sees the file yet, so one sync at the end is enough.
                connection.execute("PRAGMA synchronous = OFF")
                connection.execute("PRAGMA journal_mode = WAL")
                connection.executescript(f"BEGIN;\n{_SCHEMA.read_text()}COMMIT;")
            _sync(building)
            building.replace(path)
        finally:
            building.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _connect(path: Path, busy_timeout_s: float, durability: Durability) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=busy_timeout_s,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    connection.execute("PRAGMA foreign_keys = ON")
    # In WAL mode NORMAL survives the end of any process; only a power cut can take the last
    # commits with it, never half of one. Source: https://www.sqlite.org/pragma.html
    connection.execute(f"PRAGMA synchronous = {durability}")
    # Each checkpoint waits for the disk. After 8,000 pages (32 MB) instead of 1,000 there are so
    # few that making 20,000 runs takes half the time.
    connection.execute("PRAGMA wal_autocheckpoint = 8000")
    # A search that orders by another metric than it filters by looks up each run it finds. With
    # 12 MB instead of 2 the pages stay here: 20 ms instead of 80 for 10,000 of 100,000 runs.
    connection.execute("PRAGMA cache_size = -12000")
    # MLflow's LIKE tells upper from lower case, SQLite's own does not.
    connection.execute("PRAGMA case_sensitive_like = ON")
    connection.create_function("regexp", 2, _matches, deterministic=True)
    return connection


def _matches(pattern: str, text: str | None) -> bool | None:
    # By name: only searches for traces have patterns.
    matches: bool | None = importlib.import_module(_REGEX).regex_matches(pattern, text)
    return matches


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
