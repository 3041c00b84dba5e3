"""What the parts of a SQL store ask of a database; `sqlite.py` and `postgres.py` have it.

Statements are the same texts on both, with `?` or `:name` for values. How to write one that both
understand: docs/decisions/0012-two-databases.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, TypeVar

from flowrun.errors import FlowrunError, InvalidValueError, StoreError
from flowrun.tracking.pace import Pace

REVISION = "0008"
"""The newest migration: what this flowrun reads and writes."""


class Durability(StrEnum):
    """What an answered write survives; PostgreSQL's own settings decide that for PostgreSQL."""

    NORMAL = "normal"
    """The end of any process. A power cut may take the last seconds with it, never half a write."""
    FULL = "full"
    """A power cut as well: each commit waits for the disk."""


A = TypeVar("A", contravariant=True)
B = TypeVar("B", covariant=True)


class WriteAll(Protocol[A, B]):
    """Writes several items in one transaction."""

    def __call__(self, items: Sequence[A], /, *, is_patient: bool) -> Sequence[B | FlowrunError]:
        """Say for each item what its caller gets, or is told; `is_patient`: see `write`."""


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
    def name(self) -> str:
        """What messages call it: a path, or a URI without its password."""

    @property
    def pace(self) -> Pace:
        """What a transaction of a few rows does to the thread that it runs on."""

    def read(self) -> AbstractContextManager[Connection]:
        """Give a connection that sees one state of the store until the end."""

    def write(self, *names: str, is_patient: bool = True) -> AbstractContextManager[Connection]:
        """Give a connection whose changes are all kept at the end, or none on any error.

        What is read inside stays true until the commit, since other writers wait.

        Args:
            names: the things, by id or name, that are changed, and that alone decide what is
                written: who writes other things then need not wait. None: all writers wait, which
                is always right. (SQLite has one writer at a time anyway.)
            is_patient: wait as long as the store's timeout says for another writer, not just for
                a moment.
        """

    def write_together(self, write: WriteAll[A, B], item: A) -> B:
        """Write an item, maybe in one transaction with those that others bring meanwhile.

        Args:
            write: writes several; the same for all that may go together.
            item: what to write.

        Returns:
            What `write` gives for the item.

        Raises:
            FlowrunError: what `write` gives for it, or raises.
        """

    def skip_numbers(self, connection: Connection, table: str, column: str, number: int) -> None:
        """Never give this number, or a lower one, to a new row: one came with its own number."""

    def close(self) -> None:
        """Close all idle connections."""


class KeptDatabase(Database, Protocol):
    """What `flowrun db` asks of a database; none of it looks for another version first."""

    def revision(self) -> str | None:
        """Give the newest migration that was run here; None if no store was made yet.

        Raises:
            StoreError: it can't be read, or is another program's.
        """

    def migrate(self) -> None:
        """Make the store, or bring an older one to the newest revision: wholly, or not at all."""

    def back_up(self, into: Path, variables: Mapping[str, str]) -> None:
        """Copy the store as it is at one moment, while others use it.

        Args:
            into: a new file, made with mode 0600.
            variables: the caller's environment, for a program that is called.

        Raises:
            StoreError: the copy can't be made; nothing is left of it.
        """


def write_alone(write: WriteAll[A, B], item: A) -> B:
    """Write one item in a transaction of its own."""
    return result_of(write([item], is_patient=True)[0])


def result_of(result: B | FlowrunError) -> B:
    """Give what became of an item, or raise it."""
    if isinstance(result, FlowrunError):
        raise result
    return result


def newer_store(name: str, revision: str) -> StoreError:
    """Give the words for a store that this flowrun does not understand."""
    return StoreError(
        f"store {name}: a newer flowrun made it (revision {revision}; this flowrun knows up to "
        f"{REVISION})",
        "Upgrade flowrun, or give another store.",
    )


def unfit_value(error: UnicodeEncodeError | OverflowError) -> InvalidValueError:
    """Give the words for a value that no database keeps."""
    if isinstance(error, UnicodeEncodeError):
        found = repr(error.object[error.start : error.end])
        return InvalidValueError(
            f"a text holds {found}, half of a surrogate pair, which is no character"
        )
    return InvalidValueError("a number does not fit into 64 bits")
