"""What the parts of a SQL store ask of a database; `sqlite.py` and `postgres.py` have it.

Statements are the same texts on both, with `?` or `:name` for values. How to write one that both
understand: docs/decisions/0012-two-databases.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from flowrun.errors import InvalidValueError

REVISION = "0002"
"""The newest migration: what this flowrun reads and writes."""


class Rows(Protocol):
    """What a statement gave, each row a tuple; what is in it only the statement knows."""

    def fetchone(self) -> Any:  # noqa: ANN401 - columns of any type
        """Give the next row, None after the last."""

    def fetchall(self) -> list[Any]:
        """Give the rows that are left."""

    def __iter__(self) -> Iterator[Any]:
        """Give the rows that are left, one by one."""


class Connection(Protocol):
    """A transaction of one thread, between its begin and its end."""

    def execute(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ..., /) -> Rows:
        """Run a statement with its values: in order for `?`, by name for `:name`."""

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> object:
        """Run a statement that gives no rows once for each of these."""


class Database(Protocol):
    """A database, for any number of threads: each transaction has a connection of its own."""

    @property
    def is_quick(self) -> bool:
        """True if a transaction of a few rows takes less than a millisecond."""

    def read(self) -> AbstractContextManager[Connection]:
        """Give a connection that sees one state of the store until the end."""

    def write(self, what: str | None = None) -> AbstractContextManager[Connection]:
        """Give a connection whose changes are all kept at the end, or none on any error.

        What is read inside stays true until the commit, since other writers wait.

        Args:
            what: the one thing, by its id or name, that is changed, and that alone decides what is
                written: who writes another thing then need not wait. None: all writers wait, which
                is always right. (SQLite has one writer at a time anyway.)
        """

    def skip_numbers(self, connection: Connection, table: str, column: str, number: int) -> None:
        """Never give this number, or a lower one, to a new row: one came with its own number."""

    def close(self) -> None:
        """Close all idle connections."""


def unfit_value(error: UnicodeEncodeError | OverflowError) -> InvalidValueError:
    """Give the words for a value that no database keeps."""
    if isinstance(error, UnicodeEncodeError):
        found = repr(error.object[error.start : error.end])
        return InvalidValueError(
            f"a text holds {found}, half of a surrogate pair, which is no character"
        )
    return InvalidValueError("a number does not fit into 64 bits")
