"""Reads a SQL store of MLflow's that nobody may change: connections that can't write."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from flowrun.errors import StoreError, UsageError
from flowrun.importing.mlflow_tables import BESIDE, NEEDED, NOT_IMPORTED, READ

Row = tuple[object, ...]

_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"


class Reader(Protocol):
    """A database opened for reading."""

    def tables(self) -> Mapping[str, Sequence[str]]:
        """Give the tables with the names of their columns."""

    def rows(self, statement: str, values: Sequence[object] = ()) -> Iterator[Row]:
        """Give what a SELECT finds, row by row; `?` stands for a value."""

    def close(self) -> None:
        """Close the database."""


class SqliteReader:
    """A SQLite file, opened read-only."""

    def __init__(self, path: Path) -> None:
        """Open a file.

        Raises:
            UsageError: there is no such file. StoreError: it is no database, or can't be read.
        """
        self._path = path
        if not path.is_file():
            raise UsageError(f"{path}: there is no such file")
        with self._plain_errors():
            self._connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=30
            )
            self._connection.execute("PRAGMA query_only = ON")

    def tables(self) -> Mapping[str, Sequence[str]]:
        """Give the tables with the names of their columns."""
        names = [str(name) for (name,) in self.rows(_TABLES)]
        return {
            name: [
                str(row[0]) for row in self.rows("SELECT name FROM pragma_table_info(?)", [name])
            ]
            for name in names
        }

    def rows(self, statement: str, values: Sequence[object] = ()) -> Iterator[Row]:
        """Give what a SELECT finds, row by row."""
        with self._plain_errors():
            yield from self._connection.execute(statement, values)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @contextlib.contextmanager
    def _plain_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(
                f"{self._path}: {error}",
                "If MLflow was killed while it wrote, let it open the database once; "
                "if it is in use, stop its server.",
            ) from error


def check_schema(reader: Reader, where: str) -> Mapping[str, Sequence[str]]:
    """Give the tables of MLflow's store, after a look whether it is one, and whole.

    Raises:
        UsageError: it is no store of MLflow's.
        StoreError: MLflow is in the middle of a migration, or something needed is not there.
    """
    tables = reader.tables()
    if "alembic_version" not in tables or "experiments" not in tables:
        raise UsageError(f"{where}: this is no store of MLflow's")
    unfinished = [name for name in tables if name.startswith("_alembic_tmp_")]
    revisions = list(reader.rows("SELECT version_num FROM alembic_version"))
    if unfinished or len(revisions) != 1:
        found = f"table {unfinished[0]}" if unfinished else f"{len(revisions)} schema revisions"
        raise StoreError(
            f"{where}: MLflow is migrating it, or was stopped while it did ({found})",
            "Run `mlflow db upgrade` on it, or restore the backup from before; then import again.",
        )
    for table, columns in NEEDED.items():
        for column in columns:
            if column not in tables.get(table, ()):
                raise StoreError(
                    f"{where}: schema revision {revisions[0][0]} of MLflow's store has no "
                    f"{table}.{column}, which flowrun needs",
                    "Is this flowrun older than that MLflow? Look for a newer flowrun.",
                )
    return tables


def unknown_parts(reader: Reader, tables: Mapping[str, Sequence[str]]) -> list[str]:
    """Tell what a store holds that is not read: other tables with rows, columns of a later date."""
    notes = []
    for table, name in NOT_IMPORTED.items():
        if name and table in tables:
            ((count,),) = reader.rows(f"SELECT COUNT(*) FROM {table}")  # noqa: S608 - own names
            if count:
                notes.append(f"{count} {name} are not imported")
    for table, columns in READ.items():
        later = sorted(set(tables.get(table, ())) - set(columns))
        if later:
            notes.append(
                f"{table}.{', '.join(later)} came with a later MLflow than 3.17 and is not read"
            )
    later = sorted(set(tables) - set(READ) - set(NOT_IMPORTED) - BESIDE)
    notes += [f"table {table} is of a later MLflow than 3.17 and is not read" for table in later]
    return notes
