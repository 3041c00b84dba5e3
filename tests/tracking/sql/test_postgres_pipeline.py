"""Statements that are sent before the answers to earlier ones came, on a real PostgreSQL."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager

import pytest

from flowrun.errors import InvalidValueError, StoreError
from flowrun.tracking.sql.postgres import PostgresDatabase, open_postgres
from flowrun.tracking.sql.postgres_pipeline import PostgresConnection
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.postgres

CREATE = """
    CREATE TABLE kept (number BIGINT, name TEXT, value DOUBLE PRECISION, raw BYTEA)
"""
INSERT = "INSERT INTO kept (number, name, value, raw) VALUES (?, ?, ?, ?)"
Row = tuple[int | None, str | None, float | None, bytes | None]


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[PostgresDatabase]:
    database = open_postgres(postgres.new_store())
    with database.write() as connection:
        connection.execute(CREATE)
    yield database
    database.close()


def kept(database: PostgresDatabase) -> list[Row]:
    with database.read() as connection:
        return connection.execute("SELECT * FROM kept ORDER BY number").fetchall()


ROWS: dict[str, list[Row]] = {
    "one": [(1, "a", 0.5, b"x")],
    "many": [(number, f"name {number}", number / 3, bytes([number])) for number in range(200)],
    "what all share": [(number, "same", 1.5, b"same") for number in range(3)],
    "nothing at all": [(number, None, None, None) for number in range(3)],
    "something here and there": [(1, None, 0.5, None), (2, "b", None, b""), (3, "", 1.0, None)],
    "whole numbers among others": [(1, "a", 1, b""), (2, "a", 2.5, b""), (3, "a", -3, b"")],
    "the largest": [(-(2**63), "", -1e308, b""), (2**63 - 1, "é\U0001f600" * 9, 5e-324, b"\0")],
    "no numbers": [(1, "a", math.inf, b""), (2, "b", -math.inf, b"")],
    "twice the same": [(1, "a", 0.5, b"")] * 2,
}


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
def test_many_rows_come_back_as_they_were(database: PostgresDatabase, rows: list[Row]) -> None:
    with database.write() as connection:
        connection.executemany(INSERT, rows)
    assert kept(database) == rows


def test_zero_keeps_its_sign_and_nan_is_one(database: PostgresDatabase) -> None:
    with database.write() as connection:
        connection.executemany(
            INSERT, [(1, "", 0.0, b""), (2, "", -0.0, b""), (3, "", math.nan, b"")]
        )
    zero, negative, no_number = (row[2] for row in kept(database))
    assert zero is not None
    assert negative is not None
    assert no_number is not None
    assert [math.copysign(1, zero), math.copysign(1, negative)] == [1, -1]
    assert math.isnan(no_number)


BAD_ROWS: dict[str, Sequence[tuple[object, ...]]] = {
    "too large a number": [(1, "", 0.0, b""), (2**63, "", 0.0, b"")],
    "half a character": [(1, "", 0.0, b""), (2, "\ud800", 0.0, b"")],
    "NUL": [(1, "", 0.0, b""), (2, "\0", 0.0, b"")],
}


@pytest.mark.parametrize("rows", BAD_ROWS.values(), ids=BAD_ROWS)
def test_one_bad_row_keeps_all_out_and_the_connection_goes_on(
    database: PostgresDatabase, rows: Sequence[tuple[object, ...]]
) -> None:
    with pytest.raises(InvalidValueError), database.write() as connection:
        connection.executemany(INSERT, rows)
    assert kept(database) == []


def test_an_update_sees_the_row_before_it(database: PostgresDatabase) -> None:
    with database.write() as connection:
        connection.execute("CREATE UNIQUE INDEX by_number ON kept (number)")
        connection.executemany(
            "INSERT INTO kept (number, value) VALUES (?, ?)"
            " ON CONFLICT (number) DO UPDATE SET value = kept.value + excluded.value",
            [(1, 1.0), (2, 10.0), (1, 2.0)],
        )
    assert [(row[0], row[2]) for row in kept(database)] == [(1, 3.0), (2, 10.0)]


def test_a_failure_is_told_by_the_first_answer_that_is_asked_for(
    database: PostgresDatabase,
) -> None:
    def fail() -> None:
        with database.write() as connection:
            connection.executemany(INSERT, ROWS["many"])
            connection.execute("SELECT 1 / 0")
            connection.execute("SELECT count(*) FROM kept").fetchone()
            pytest.fail("the answer to a statement after the failure")

    for _ in range(3):  # also once the statements are prepared
        with pytest.raises(StoreError, match="division by zero"):
            fail()
        assert kept(database) == []


def test_a_failure_that_nobody_asks_about_is_told_at_the_end(database: PostgresDatabase) -> None:
    def fail(begin: Callable[[], AbstractContextManager[PostgresConnection]]) -> None:
        with begin() as connection:
            connection.execute("SELECT 1 / 0")

    for begin in (database.read, database.write):
        with pytest.raises(StoreError, match="division by zero"):
            fail(begin)
    assert kept(database) == []


def test_answers_may_be_asked_for_in_any_order_and_after_the_end(
    database: PostgresDatabase,
) -> None:
    with database.read() as connection:
        rows = [connection.execute("SELECT ?::bigint", (number,)) for number in range(5)]
        assert rows[3].fetchall() == [(3,)]
        assert rows[3].fetchone() is None
        assert rows[1].fetchone() == (1,)
        last = connection.execute("SELECT 'last'")
        last.fetchone()
        assert [list(each) for each in (rows[4], rows[0])] == [[(4,)], [(0,)]]


def test_more_texts_than_are_kept_prepared_can_be_run(database: PostgresDatabase) -> None:
    for _ in range(3):
        with database.read() as connection:
            for number in range(350):
                found = connection.execute(f"SELECT ?::bigint + {number}", (1,))
                assert found.fetchone() == (1 + number,)


def test_much_is_sent_while_much_comes_back(database: PostgresDatabase) -> None:
    text = "x" * 1_000_000
    with database.read() as connection:
        rows = [connection.execute("SELECT ?::text || ?::text", (text, text)) for _ in range(20)]
        assert {len(each.fetchone()[0]) for each in rows} == {2_000_000}


def test_an_interrupted_wait_leaves_no_half_read_connection(database: PostgresDatabase) -> None:
    def interrupt() -> None:
        with database.read() as connection:
            connection.execute("SELECT 'of the interrupted'")
            raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            interrupt()
        with database.read() as connection:
            assert connection.execute("SELECT 'of the next'").fetchone() == ("of the next",)
