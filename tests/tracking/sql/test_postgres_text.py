"""Statements as PostgreSQL reads them."""

from __future__ import annotations

import pytest

from flowrun.tracking.sql.postgres_text import translate

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
