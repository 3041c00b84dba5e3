"""Statements as PostgreSQL reads them."""

from __future__ import annotations

import pytest

from flowrun.tracking.sql.postgres_text import translate, translate_rows

TEXTS = {
    "marks": ("a = ? AND b IN (?, ?)", "a = $1 AND b IN ($2, $3)"),
    "names": ("(:b, :a, :b_2)", "($1, $2, $3)"),
    "a name twice": ("x = :a OR y = :a OR z = :b", "x = $1 OR y = $1 OR z = $2"),
    "a cast": ("a::text = ?", "a::text = $1"),
    "quoted": ("a = '?:x' AND b = ?", "a = '?:x' AND b = $1"),
    "per cent": ("a LIKE '%' AND b = ?", "a LIKE '%' AND b = $1"),
    "like": ("a LIKE ?", "a LIKE $1 ESCAPE ''"),
    "not like": ("a NOT LIKE ?", "a NOT LIKE $1 ESCAPE ''"),
    "ilike": (
        "lower(a) LIKE lower(?)",
        "lower(a) LIKE lower($1 COLLATE \"C\") ESCAPE ''",
    ),
    "nothing to do": ("SELECT 1", "SELECT 1"),
}


@pytest.mark.parametrize(("text", "expected"), TEXTS.values(), ids=TEXTS)
def test_marks_become_numbers(text: str, expected: str) -> None:
    assert translate(text).text.decode() == expected


def test_named_values_are_put_in_order() -> None:
    statement = translate("SELECT :b, :a, :b")
    assert statement.in_order({"a": 1, "b": 2, "unused": 3}) == [2, 1]


INSERTS = {
    "ON CONFLICT DO NOTHING": (
        "\n INSERT INTO t (a, b)\n VALUES (?, ?) ON CONFLICT DO NOTHING",
        "\n INSERT INTO t (a, b)\n SELECT c1, c2 FROM unnest($1, $2) AS many(c1, c2)"
        " ON CONFLICT DO NOTHING",
        [(1, 1), (1, 1)],
        True,
    ),
    "a shared value": (
        "INSERT INTO t (a, b, c) VALUES (?, ?, ?)",
        "INSERT INTO t (a, b, c) SELECT c1, $2, $3 FROM unnest($1) AS many(c1)",
        [(1, 1, 1), (2, 1, 1)],
        True,
    ),
    "a value that is looked up": (
        "INSERT INTO t (a, b) VALUES ((SELECT c FROM u WHERE d = ?), ?) ON CONFLICT DO NOTHING",
        "INSERT INTO t (a, b) SELECT (SELECT c FROM u WHERE d = c1), c2"
        " FROM unnest($1, $2) AS many(c1, c2) ON CONFLICT DO NOTHING",
        [(1, 1)],
        True,
    ),
    "an update of different rows": (
        "INSERT INTO t (a, b) VALUES (?, ?) ON CONFLICT (b) DO UPDATE SET b = excluded.b",
        "INSERT INTO t (a, b) SELECT c1, c2 FROM unnest($1, $2) AS many(c1, c2)"
        " ON CONFLICT (b) DO UPDATE SET b = excluded.b",
        [(1, 1), (1, 2)],
        True,
    ),
    "an update where two rows of one key meet": (
        "INSERT INTO t (a, b) VALUES (?, ?) ON CONFLICT (b) DO UPDATE SET b = excluded.b",
        "INSERT INTO t (a, b) SELECT c1, c2 FROM unnest($1, $2) AS many(c1, c2)"
        " ON CONFLICT (b) DO UPDATE SET b = excluded.b",
        [(1, 2), (3, 2)],
        False,
    ),
}


@pytest.mark.parametrize(("text", "expected", "rows", "takes"), INSERTS.values(), ids=INSERTS)
def test_an_insert_of_one_row_becomes_one_of_many(
    text: str, expected: str, rows: list[tuple[int, ...]], *, takes: bool
) -> None:
    shape = tuple(index == 0 or "$2)" in expected for index in range(len(rows[0])))
    many = translate_rows(text, shape)
    assert many is not None
    assert many.text.decode() == expected
    assert many.takes(rows) is takes


OTHERS = {
    "rows are given back": "INSERT INTO t (a) VALUES (?) RETURNING a",
    "no insert": "DELETE FROM t WHERE a IN (?)",
    "a further value": "INSERT INTO t (a) VALUES (?) ON CONFLICT (a) DO UPDATE SET b = ?",
    "a column without a value": "INSERT INTO t (a, b) VALUES (?, 1)",
}


@pytest.mark.parametrize("text", OTHERS.values(), ids=OTHERS)
def test_other_statements_stay_one_for_each_row(text: str) -> None:
    assert translate_rows(text, (True,)) is None
