"""The databases that servers are compared over, and filling them past the servers.

Both kinds are left as their owner would find them. PostgreSQL's autovacuum looks at a table within
a minute after it grew, so there the fill ends with what it would do, `VACUUM ANALYZE`. SQLite does
nothing of that kind by itself, so nothing of that kind is done to it.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psycopg

FIRST_KEY = 10_000_000
"""Rows that are filled in have numbers above this one: no server that is measured gets that far,
so that they never meet those that a server gives."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows for one table."""

    table: str
    columns: Sequence[str]
    values: Iterable[Sequence[object]]


class Store(Protocol):
    """A database for one server."""

    @property
    def uri(self) -> str:
        """What the server is told."""

    def fill(self, tables: Iterable[Rows]) -> None:
        """Add rows to tables that the server made; no server runs meanwhile."""

    def settings(self) -> str:
        """Say what it is, and what decides how much of it a crash can take."""


class SqliteStore:
    """A SQLite file."""

    def __init__(self, path: Path) -> None:
        self.uri = f"sqlite:///{path}"
        self._path = path

    def fill(self, tables: Iterable[Rows]) -> None:
        """Add rows in one transaction."""
        with closing(sqlite3.connect(self._path)) as connection, connection:
            for rows in tables:
                marks = ", ".join("?" for _ in rows.columns)
                into = f"{rows.table} ({', '.join(rows.columns)})"
                connection.executemany(f"INSERT INTO {into} VALUES ({marks})", rows.values)  # noqa: S608

    def settings(self) -> str:
        """Say what it is."""
        with closing(sqlite3.connect(self._path)) as connection:
            (journal,) = connection.execute("PRAGMA journal_mode").fetchone()
        return f"SQLite, journal mode {journal}"


class PostgresStore:
    """A database of a PostgreSQL server."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def fill(self, tables: Iterable[Rows]) -> None:
        """Add rows in one transaction, then do what autovacuum would do within a minute."""
        with psycopg.connect(self.uri) as connection, connection.cursor() as cursor:
            for rows in tables:
                into = f"{rows.table} ({', '.join(rows.columns)})"
                with cursor.copy(f"COPY {into} FROM STDIN".encode()) as copy:
                    for values in rows.values:
                        copy.write_row(values)
        with psycopg.connect(self.uri, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")

    def settings(self) -> str:
        """Say what it is."""
        with psycopg.connect(self.uri) as connection:
            version = connection.info.parameter_status("server_version")
            (commit,) = connection.execute("SHOW synchronous_commit").fetchone() or ("",)
        return f"PostgreSQL {version}, synchronous_commit {commit}"


@contextmanager
def new_store(folder: Path, name: str, postgres: str | None) -> Iterator[Store]:
    """Give a store without tables: a file in a folder, or a database that goes away in the end.

    Args:
        folder: where files go.
        name: what the store's own name begins with.
        postgres: URL of a PostgreSQL server on which databases may be made; None for a file.
    """
    if postgres is None:
        yield SqliteStore(folder / f"{name}.db")
        return
    database = f"bench_{name.replace('-', '_')}_{time.time_ns()}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {database}".encode())
        try:
            yield PostgresStore(f"{postgres.rstrip('/').rpartition('/')[0]}/{database}")
        finally:
            connection.execute(f"DROP DATABASE {database} WITH (FORCE)".encode())
