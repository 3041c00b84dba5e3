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
        "\n INSERT INTO t (a, b)\n VALUES ($1, $2), ($3, $4) ON CONFLICT DO NOTHING",
    ),
    "plain": ("INSERT INTO t VALUES (?)", "INSERT INTO t VALUES ($1), ($2)"),
    "an update, where two rows of one key may meet": (
        "INSERT INTO t (a) VALUES (?) ON CONFLICT (a) DO UPDATE SET b = excluded.b",
        None,
    ),
    "rows are given back": ("INSERT INTO t VALUES (?) RETURNING a", None),
    "no insert": ("DELETE FROM t WHERE a IN (?)", None),
}


@pytest.mark.parametrize(("text", "expected"), INSERTS.values(), ids=INSERTS)
def test_an_insert_of_one_row_becomes_one_of_many(text: str, expected: str | None) -> None:
    translated = translate_rows(text, 2)
    assert (translated and translated.decode()) == expected
