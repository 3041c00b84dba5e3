"""A connection to PostgreSQL whose statements are sent before the answers to earlier ones came.

It drives libpq's pipeline mode itself: psycopg's own takes some 40 µs of Python for each statement,
which is more than the server needs for it. Connecting, values and errors are left to psycopg.
Source: https://www.postgresql.org/docs/current/libpq-pipeline-mode.html
"""

from __future__ import annotations

import select
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import psycopg
from psycopg import errors, pq
from psycopg.adapt import PyFormat, Transformer

from flowrun.tracking.sql.postgres_rows import Array, columns_of
from flowrun.tracking.sql.postgres_text import translate, translate_rows
from flowrun.tracking.turns import wait_for_socket

Driver: TypeAlias = psycopg.Connection[tuple[Any, ...]]

_PREPARED_MOST = 300
_SEEN_MOST = 1000
_ROWS_AT_ONCE = 5000
_NO_VALUES: tuple[Any, ...] = ()
_AUTO = [PyFormat.AUTO]
_Key: TypeAlias = tuple[bytes, tuple[int, ...]]


class PostgresRows:
    """What a statement gave; who asks for it waits until the answer has come."""

    __slots__ = ("_connection", "_rows", "result")

    def __init__(self, connection: PostgresConnection) -> None:
        self._connection = connection
        self.result: pq.abc.PGresult | None = None
        self._rows: Iterator[Any] | None = None

    def fetchone(self) -> Any:  # noqa: ANN401 - columns of any type
        """Give the next row, None after the last."""
        return next(iter(self), None)

    def fetchall(self) -> list[Any]:
        """Give the rows that are left."""
        return list(self)

    def __iter__(self) -> Iterator[Any]:
        """Give the rows that are left, one by one."""
        if self._rows is None:
            self._rows = iter(self._connection.load(self.result or self._connection.wait_for(self)))
            self.result = None
        return self._rows


class _Prepared:
    """A statement that is on its way to be prepared."""

    __slots__ = ("key",)

    def __init__(self, key: _Key) -> None:
        self.key = key


class _Mark:
    """The end of a transaction: what comes after it does not fail with what came before it."""

    __slots__ = ()


class PostgresConnection:
    """A connection of one thread, or of one call that takes turns."""

    def __init__(self, driver: Driver) -> None:
        """Take over a connection of psycopg, which must not be used by itself from here on."""
        self.driver = driver
        self._pg = driver.pgconn
        self._fd = self._pg.socket
        self._pg.enter_pipeline_mode()
        self._transformer = Transformer(driver)
        self._sent: deque[PostgresRows | _Prepared | _Mark] = deque()
        self._names: OrderedDict[_Key, bytes] = OrderedDict()
        self._seen: set[_Key] = set()
        self._count = 0
        self._failure: psycopg.Error | None = None
        self._is_unsent = False
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)

    def execute(
        self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = (), /
    ) -> PostgresRows:
        """Run a statement with its values."""
        statement = translate(sql)
        return self.send(statement.text, statement.in_order(parameters))

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> None:
        """Run a statement for each of these: as one for many rows where it can be."""
        rows = list(parameters)
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            self._send_rows(sql, rows[start : start + _ROWS_AT_ONCE])

    def send(self, text: bytes, values: Sequence[Any] = _NO_VALUES) -> PostgresRows:
        """Send a statement in PostgreSQL's own words; nobody waits for its answer yet."""
        return self._send(text, *self._dump(values))

    def is_usable(self) -> bool:
        """True if an idle connection still stands: the server has not ended it, or said it will."""
        try:
            if self._poll.poll(0):
                if not self._sent:
                    return False
                self._pg.consume_input()
                self._read_what_came()
                return not self._poll.poll(0)
        except psycopg.Error:
            return False
        return True

    def end(self, statement: bytes, *, waits: bool) -> None:
        """Send a COMMIT, and wait for it unless nothing depends on it.

        Raises:
            psycopg.Error: of any statement since the begin.
        """
        waits = waits or bool(self._sent)  # a failure among them would keep the end from coming
        self.send(statement)
        while len(self._names) > _PREPARED_MOST:
            # Only here: before a BEGIN it would be a query of the same transaction.
            _, oldest = self._names.popitem(last=False)
            self.send(b"DEALLOCATE " + oldest)
        mark = self._send_mark()
        if waits:
            self._read_to(mark)
            self._raise_failure()
        else:
            self._flush()

    def roll_back(self) -> None:
        """Undo the transaction, whatever state it is in.

        Raises:
            psycopg.Error: the connection is gone.
        """
        self._send_mark()  # after a failure everything up to it is left out
        self.send(b"ROLLBACK")
        self._read_to(self._send_mark())
        self._failure = None

    def close(self) -> None:
        """Close the connection."""
        self.driver.close()

    def wait_for(self, rows: PostgresRows) -> pq.abc.PGresult:
        """Give the answer to a statement; wait until it has come.

        Raises:
            psycopg.Error: of this statement, or of one before it.
        """
        self._raise_failure()
        if self._is_unsent:
            self._pg.send_flush_request()
            self._flush()
        while rows.result is None:
            self._read_one()
            self._raise_failure()
        return rows.result

    def load(self, result: pq.abc.PGresult) -> list[tuple[Any, ...]]:
        """Give the rows of an answer."""
        self._transformer.set_pgresult(result, format=pq.Format.BINARY)
        return self._transformer.load_rows(0, result.ntuples, tuple)

    def _send_rows(self, sql: str, rows: list[Sequence[Any]]) -> None:
        columns = columns_of(rows) if len(rows) > 1 else None
        insert = translate_rows(sql, columns.shape) if columns is not None else None
        if columns is None or insert is None or not insert.takes(rows):
            text = translate(sql).text
            for row in rows:
                self.send(text, row)
            return
        arrays = [value for value in columns.values if isinstance(value, Array)]
        shared = [value for value in columns.values if not isinstance(value, Array)]
        values, types, formats = self._dump(shared)
        self._send(
            insert.text,
            [*(array.data for array in arrays), *values],
            (*(array.type for array in arrays), *types),
            [*([pq.Format.BINARY] * len(arrays)), *formats],
        )

    def _dump(
        self, values: Sequence[Any]
    ) -> tuple[Sequence[pq.abc.Buffer | None], tuple[int, ...], Sequence[pq.Format]]:
        transformer = self._transformer
        dumped = transformer.dump_sequence(values, _AUTO * len(values))
        return dumped, transformer.types or (), transformer.formats or ()

    def _send(
        self,
        text: bytes,
        values: Sequence[pq.abc.Buffer | None],
        types: tuple[int, ...],
        formats: Sequence[int],
    ) -> PostgresRows:
        key = (text, types)
        name = self._names.get(key)
        if name is not None:
            self._names.move_to_end(key)
            self._pg.send_query_prepared(name, values, formats, pq.Format.BINARY)
        elif key not in self._seen:
            # Most statements that come once never come again.
            if len(self._seen) >= _SEEN_MOST:
                self._seen.clear()
            self._seen.add(key)
            self._pg.send_query_params(text, values, types, formats, pq.Format.BINARY)
        else:
            name = self._prepare(key)
            self._pg.send_query_prepared(name, values, formats, pq.Format.BINARY)
        rows = PostgresRows(self)
        self._sent.append(rows)
        self._is_unsent = True
        return rows

    def _prepare(self, key: _Key) -> bytes:
        self._count += 1
        name = b"s%d" % self._count
        self._pg.send_prepare(name, key[0], key[1])
        self._names[key] = name
        self._sent.append(_Prepared(key))
        return name

    def _send_mark(self) -> _Mark:
        mark = _Mark()
        self._pg.pipeline_sync()
        self._sent.append(mark)
        return mark

    def _flush(self) -> None:
        self._is_unsent = False
        while self._pg.flush():
            wait_for_socket(self._fd, to_write=True)
            # The server may not read on until its answers are read.
            self._pg.consume_input()

    def _read_to(self, mark: _Mark) -> None:
        self._flush()
        while self._read_one() is not mark:
            pass

    def _read_one(self) -> object:
        """Take the next answer; give what it answers."""
        while True:
            while self._pg.is_busy():
                wait_for_socket(self._fd)
                self._pg.consume_input()
            if (taken := self._take()) is not None:
                return taken

    def _read_what_came(self) -> None:
        while self._sent and not self._pg.is_busy():
            self._take()

    def _take(self) -> object | None:
        """Take an answer that has come; None for the gap between two."""
        result = self._pg.get_result()
        if result is None:
            if self._pg.status == pq.ConnStatus.BAD:
                raise errors.OperationalError("the connection broke")
            return None
        entry = self._sent.popleft()
        status = result.status
        if status in {pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK}:
            if isinstance(entry, PostgresRows):
                entry.result = result
        elif status != pq.ExecStatus.PIPELINE_SYNC:
            if isinstance(entry, _Prepared):
                self._names.pop(entry.key, None)
            if status != pq.ExecStatus.PIPELINE_ABORTED and self._failure is None:
                self._failure = self._error_of(result)
        return entry

    def _error_of(self, result: pq.abc.PGresult) -> psycopg.Error:
        if self._pg.status == pq.ConnStatus.BAD and not result.error_field(
            pq.DiagnosticField.SQLSTATE
        ):
            return errors.OperationalError("the connection broke")
        return errors.error_from_result(result)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
