"""Writes of several threads in one commit, for when each commit waits for the disk.

Whoever has made its changes looks whether others wait for their turn. If so it leaves the commit to
them, and is answered when the last one has done it: eight callers wait for the disk once, not
eight times.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field


class JoinedWriter:
    """One connection that writes for all threads, in turn."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._connection: sqlite3.Connection | None = None
        self._turn = threading.Lock()
        self._counting = threading.Lock()
        self._coming = 0
        self._batch: _Batch | None = None

    @property
    def is_awaited(self) -> bool:
        """True if a thread waits for its turn to write."""
        return self._coming > 0

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Give the connection; return once what was changed is on the disk, or undo it all.

        Raises:
            sqlite3.Error: of a statement, or of the commit.
        """
        self._count(1)
        with self._turn:
            self._count(-1)
            connection = self._connection = self._connection or self._connect()
            if self._batch is None:
                connection.execute("BEGIN IMMEDIATE")
                self._batch = _Batch()
            batch = self._batch
            try:
                connection.execute("SAVEPOINT one")
                yield connection
                connection.execute("RELEASE one")
            except BaseException as error:
                self._undo(connection, batch, error)
                raise
            finally:
                if not batch.is_over.is_set() and not self.is_awaited:
                    self._commit(connection, batch)
        batch.is_over.wait()
        if batch.error is not None:
            raise batch.error

    def close(self) -> None:
        """Close the connection; nobody writes any more."""
        if self._connection is not None:
            self._connection.close()

    def _count(self, more: int) -> None:
        with self._counting:
            self._coming += more

    def _undo(self, connection: sqlite3.Connection, batch: _Batch, error: BaseException) -> None:
        """Undo one writer's changes; a full disk undoes those of the others as well."""
        if connection.in_transaction:
            connection.execute("ROLLBACK TO one")
            connection.execute("RELEASE one")
        else:
            self._end(batch, error)

    def _commit(self, connection: sqlite3.Connection, batch: _Batch) -> None:
        try:
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            connection.rollback()
            self._end(batch, error)
        else:
            self._end(batch, None)

    def _end(self, batch: _Batch, error: BaseException | None) -> None:
        self._batch = None
        batch.error = error
        batch.is_over.set()


@dataclass(slots=True)
class _Batch:
    """Writers that share a commit."""

    is_over: threading.Event = field(default_factory=threading.Event)
    error: BaseException | None = None
