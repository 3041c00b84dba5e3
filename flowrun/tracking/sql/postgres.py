"""A store's database in PostgreSQL: connections, transactions, its errors in plain words.

Loaded by name when a URI asks for it: the driver, psycopg, is an extra of the package.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psycopg
from psycopg.adapt import AdaptersMap
from psycopg.types.numeric import FloatBinaryDumper, Int8BinaryDumper
from psycopg.types.string import StrBinaryDumper

from flowrun.errors import StoreError
from flowrun.tracking.pace import Pace
from flowrun.tracking.sql.backup import dump_postgres
from flowrun.tracking.sql.database import (
    REVISION,
    A,
    B,
    Connection,
    WriteAll,
    newer_store,
    unfit_value,
)
from flowrun.tracking.sql.postgres_errors import connect_error, plain_error
from flowrun.tracking.sql.postgres_pipeline import Driver, PostgresConnection
from flowrun.tracking.sql.postgres_uri import to_connect, without_password
from flowrun.tracking.sql.together import Together
from flowrun.tracking.turns import wait_for_thread

ALL_WRITERS = 0x666C6F7772756E
"""The advisory lock that each writer shares, and that one without a name keeps to itself."""

_READ = b"BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
_WRITE = b"BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE"
_LOCK_ALL = b"SELECT pg_advisory_xact_lock($1)"
_LOCK_ONE = b"SELECT pg_advisory_xact_lock_shared($1), pg_advisory_xact_lock($2)"
_SHARE_ALL = b"SELECT pg_advisory_xact_lock_shared($1)"
_LOCK_MANY = b"SELECT pg_advisory_xact_lock(lock) FROM unnest($1) AS locks(lock)"
_HURRY = b"SELECT set_config('lock_timeout', '100ms', true)"
_MARK = "flowrun"
"""The comment on Alembic's table, which MLflow's stores have as well, tells whose it is."""

_SET_MARK = f"COMMENT ON TABLE alembic_version IS '{_MARK}'".encode()
_LOCK_ALL_NOW = b"SELECT pg_advisory_xact_lock(%d)" % ALL_WRITERS
_IS_MADE = b"SELECT 1 FROM pg_class WHERE oid = to_regclass('alembic_version')"
_SCHEMA = Path(__file__).with_name("schema_postgres.sql")
_SELECT_MARK = """
    SELECT to_regclass('alembic_version') IS NOT NULL,
        obj_description(to_regclass('alembic_version'), 'pg_class')
"""
_SKIP_NUMBERS = """
    SELECT setval(sequence, GREATEST(nextval(sequence), CAST(:number AS BIGINT)))
    FROM CAST(pg_get_serial_sequence(:table, :column) AS regclass) AS sequence
"""
_SELECT_REVISION = "SELECT version_num FROM alembic_version"

_MAX_IDLE = 16
_CONNECT_TIMEOUT_S = 10

# One type for each kind of value: a statement is prepared once, not once for each size of number.
_ADAPTERS = AdaptersMap(psycopg.adapters)
_ADAPTERS.register_dumper(int, Int8BinaryDumper)
_ADAPTERS.register_dumper(bool, Int8BinaryDumper)
_ADAPTERS.register_dumper(float, FloatBinaryDumper)
_ADAPTERS.register_dumper(str, StrBinaryDumper)


class PostgresDatabase:
    """A database of a PostgreSQL server; a transaction borrows an idle connection, or opens one."""

    pace = Pace.IN_TURNS

    def __init__(self, uri: str, *, lock_timeout_s: float = 60.0) -> None:
        self.name = without_password(uri)
        self._conninfo = to_connect(uri)
        self._lock_timeout_ms = round(lock_timeout_s * 1000)
        self._idle: deque[PostgresConnection] = deque()
        self._together = Together()

    @contextlib.contextmanager
    def read(self) -> Iterator[PostgresConnection]:
        """Give a connection that sees one state of the store until the end."""
        with self._transaction(_READ) as connection:
            yield connection

    @contextlib.contextmanager
    def write(self, *names: str, is_patient: bool = True) -> Iterator[PostgresConnection]:
        """Give a connection whose changes are all kept at the end, or none on any error."""
        hurry = [] if is_patient else [(_HURRY, ())]
        with self._transaction(_WRITE, [*hurry, *_locks_of(names)]) as connection:
            yield connection

    def write_together(self, write: WriteAll[A, B], item: A) -> B:
        """Write an item along with those that others bring while a transaction is under way."""
        return self._together.write(write, item)

    def revision(self) -> str | None:
        """Give the newest migration that was run here; None if no store was made yet.

        Raises:
            StoreError: the database can't be reached, or is another program's.
        """
        with self.read() as connection:
            (is_made, mark) = connection.execute(_SELECT_MARK).fetchone()
            if not is_made:
                return None
            if mark != _MARK:
                raise StoreError(
                    f"store {self.name}: the database holds another program's tables",
                    "Give an empty database. One of MLflow's own can't be used in place.",
                )
            (revision,) = connection.execute(_SELECT_REVISION).fetchone()
            return str(revision)

    def migrate(self) -> None:
        """Make the store, or bring it to the newest revision: wholly, or not at all."""

        def connect() -> Driver:
            driver = self._connect()
            driver.autocommit = False
            return driver

        try:
            with connect() as driver:
                driver.execute(_LOCK_ALL_NOW)
                if not driver.execute(_IS_MADE).fetchall():
                    driver.execute(_SCHEMA.read_bytes())
                    driver.execute(_SET_MARK)
        except psycopg.Error as error:
            raise plain_error(self.name, error, is_ending=False) from error
        if self.revision() == REVISION:
            return
        # By name: it imports Alembic and SQLAlchemy, which an up-to-date store never needs.
        upgrade = importlib.import_module("flowrun.tracking.sql.upgrade")
        try:
            upgrade.migrate_postgres(connect, _LOCK_ALL_NOW)
        except psycopg.Error as error:
            raise plain_error(self.name, error, is_ending=False) from error

    def skip_numbers(self, connection: Connection, table: str, column: str, number: int) -> None:
        """Move the sequence of a column on to a number, never back."""
        where = {"table": table, "column": column, "number": number}
        connection.execute(_SKIP_NUMBERS, where)

    def back_up(self, into: Path, variables: Mapping[str, str]) -> None:
        """Copy the store with `pg_dump`, to be read by `pg_restore`."""
        dump_postgres(self.name, self._conninfo, into, variables)

    def close(self) -> None:
        """Close all idle connections."""
        while self._idle:
            self._idle.pop().close()

    @contextlib.contextmanager
    def _transaction(
        self, begin: bytes, locks: Sequence[tuple[bytes, Sequence[object]]] = ()
    ) -> Iterator[PostgresConnection]:
        is_ending = False
        try:
            connection = self._borrow()
            try:
                # What nobody waits for an answer of is sent with what comes next: the begin with
                # the first SELECT, the last INSERTs with the commit.
                connection.send(begin)
                for lock, values in locks:
                    connection.send(lock, values)
                yield connection
                is_ending = True
                connection.end(b"COMMIT", waits=bool(locks))
            except Exception:
                self._roll_back(connection)
                raise
            except BaseException:
                # Interrupted, maybe in the midst of a long answer.
                connection.close()
                raise
            self._give_back(connection)
        except psycopg.Error as error:
            raise plain_error(self.name, error, is_ending=is_ending) from error
        except (UnicodeEncodeError, OverflowError) as error:
            raise unfit_value(error) from error

    def _borrow(self) -> PostgresConnection:
        """Give an idle connection that the server has not ended meanwhile, or a new one."""
        while self._idle:
            with contextlib.suppress(IndexError):  # another thread took the last
                connection = self._idle.pop()
                if connection.is_usable():
                    return connection
                connection.close()
        return PostgresConnection(wait_for_thread(self._connect))

    def _roll_back(self, connection: PostgresConnection) -> None:
        try:
            connection.roll_back()
        except psycopg.Error:
            # A connection that can't even roll back is not used again; closing it does.
            connection.close()
        else:
            self._give_back(connection)

    def _give_back(self, connection: PostgresConnection) -> None:
        if len(self._idle) < _MAX_IDLE:
            self._idle.append(connection)
        else:
            connection.close()

    def _connect(self) -> Driver:
        try:
            driver = psycopg.connect(
                self._conninfo,
                autocommit=True,
                context=_ADAPTERS,
                connect_timeout=_CONNECT_TIMEOUT_S,
                client_encoding="UTF8",
                fallback_application_name="flowrun",
            )
            driver.execute(b"SET lock_timeout = %d" % self._lock_timeout_ms, prepare=False)
        except psycopg.Error as error:
            raise connect_error(self.name, error) from error
        return driver


def open_postgres(uri: str, *, lock_timeout_s: float = 60.0) -> PostgresDatabase:
    """Open a store's database; make the store if the database has none.

    Args:
        uri: of a database that is there; a user's rights in it must allow to make tables.
        lock_timeout_s: how long a writer waits for another one before it gives up.

    Raises:
        StoreError: it can't be opened, holds something else, or another version's store.
    """
    database = PostgresDatabase(uri, lock_timeout_s=lock_timeout_s)
    try:
        revision = database.revision()
        if revision is None:
            database.migrate()
        elif revision > REVISION:
            raise newer_store(database.name, revision)
        elif revision < REVISION:
            raise StoreError(
                f"store {database.name}: an older flowrun made it (revision {revision}; this "
                f"flowrun needs {REVISION})",
                "Stop its servers, make a backup, and run `flowrun db upgrade` with this URI.",
            )
    except BaseException:
        database.close()
        raise
    return database


def _locks_of(names: Sequence[str]) -> Sequence[tuple[bytes, Sequence[object]]]:
    """Give the statements that keep other writers out."""
    if not names:
        return [(_LOCK_ALL, [ALL_WRITERS])]
    if len(names) == 1:
        return [(_LOCK_ONE, [ALL_WRITERS, _lock_of(names[0])])]
    # In one order: two transactions never wait for each other.
    return [(_SHARE_ALL, [ALL_WRITERS]), (_LOCK_MANY, [sorted(map(_lock_of, set(names)))])]


def _lock_of(what: str) -> int:
    """Give the number of an advisory lock: two things with the same only wait for each other."""
    digest = hashlib.blake2b(what.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
