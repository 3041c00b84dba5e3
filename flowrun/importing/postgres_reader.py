"""Reads a store of MLflow's in PostgreSQL, in sessions that can't write.

Loaded by name when a source asks for it: the driver, psycopg, is an extra of the package.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import psycopg

from flowrun.errors import StoreError
from flowrun.importing.sql_reader import Row
from flowrun.tracking.sql.postgres_errors import connect_error, plain_error
from flowrun.tracking.sql.postgres_uri import to_connect, without_password

_CONNECT_TIMEOUT_S = 10
_ROWS_AT_ONCE = 5_000
_COLUMNS = """
    SELECT table_name, column_name FROM information_schema.columns
    WHERE table_schema = current_schema()
"""


class PostgresReader:
    """A PostgreSQL database, opened read-only."""

    def __init__(self, uri: str) -> None:
        """Connect.

        Raises:
            StoreError: the server can't be reached, or lets nobody in.
        """
        self._uri = without_password(uri)
        try:
            self._connection = psycopg.connect(
                to_connect(uri), connect_timeout=_CONNECT_TIMEOUT_S, autocommit=True
            )
            self._connection.read_only = True
        except psycopg.Error as error:
            raise connect_error(self._uri, error) from error

    def tables(self) -> Mapping[str, Sequence[str]]:
        """Give the tables with the names of their columns."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        for table, column in self.rows(_COLUMNS):
            found[str(table)].append(str(column))
        return found

    def rows(self, statement: str, values: Sequence[object] = ()) -> Iterator[Row]:
        """Give what a SELECT finds, row by row, fetched from the server in pieces."""
        try:
            with (
                self._connection.transaction(),
                self._connection.cursor(f"rows_{id(values)}") as cursor,
            ):
                cursor.itersize = _ROWS_AT_ONCE
                cursor.execute(statement.replace("?", "%s").encode(), list(values))
                yield from cursor
        except psycopg.Error as error:
            plain = plain_error(self._uri, error, is_ending=False)
            raise StoreError(plain.message, plain.hint) from error

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
