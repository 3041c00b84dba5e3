"""The store's statements in PostgreSQL's words.

The rules for what is written in them: docs/decisions/0012-two-databases.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from flowrun.valueclass import valueclass

_QUOTED_OR_MARK = re.compile(r"'[^']*'|\?|(?<!:):(?P<name>[a-z_]\w*)")
_LOWER = re.compile(r"lower\((\$\d+)\)")
_INSERT_ROW = re.compile(
    r"(?P<insert>\s*INSERT INTO \w+\s+\((?P<columns>[^()]+)\)\s+)VALUES \((?P<row>.*?)\)"
    r"(?P<rest>(\s+ON CONFLICT [^?:]*)?\s*)",
    re.DOTALL,
)
_ON_CONFLICT = re.compile(r"ON CONFLICT \((?P<key>[^()]+)\)\s+DO UPDATE")
_LIKE = re.compile(r"\bLIKE (\$\d+|lower\([^()]*\))")
_REGEXP = re.compile(r"\bREGEXP (?=\$\d)")


@valueclass
class Statement:
    """A text with `$1`, `$2`, ... and, if its values have names, which name each one is."""

    text: bytes
    names: tuple[str, ...]

    def in_order(self, parameters: Sequence[Any] | Mapping[str, Any]) -> Sequence[Any]:
        """Give the values as the marks number them."""
        if isinstance(parameters, Mapping):
            return [parameters[name] for name in self.names]
        return parameters


@lru_cache(maxsize=1024)
def translate(sql: str) -> Statement:
    """Give a statement with `?` or `:name` for its values as PostgreSQL reads it.

    The pattern of a LIKE has no character that escapes others, and `lower` knows ASCII only, as in
    SQLite.
    """
    names: list[str] = []
    count = 0

    def number(match: re.Match[str]) -> str:
        nonlocal count
        if match[0] == "?":
            count += 1
            return f"${count}"
        name = match["name"]
        if name is None:
            return match[0]
        if name not in names:
            names.append(name)
        return f"${names.index(name) + 1}"

    text = _QUOTED_OR_MARK.sub(number, sql)
    text = _LOWER.sub(r'lower(\1 COLLATE "C")', text)
    text = _LIKE.sub(r"LIKE \1 ESCAPE ''", text)
    text = _REGEXP.sub("~ ", text)
    return Statement(text.encode(), tuple(names))


@valueclass
class ManyRows:
    """An INSERT of many rows that come as arrays, `$1` and on; then the values that all share."""

    text: bytes
    key: tuple[int, ...] | None
    """By which columns a row is told from one that is there and gets changed; None: by none."""

    def takes(self, rows: Sequence[Sequence[Any]]) -> bool:
        """False if two of the rows have the same key: the second would not see the first."""
        if self.key is None:
            return True
        return len({tuple([row[at] for at in self.key]) for row in rows}) == len(rows)


@lru_cache(maxsize=256)
def translate_rows(sql: str, is_array: tuple[bool, ...]) -> ManyRows | None:
    """Give an INSERT of one row as one of many; None if it is no such INSERT.

    Args:
        sql: with one mark for each column of the row.
        is_array: which columns come as an array; the others' one value is for all rows.
    """
    parts = _INSERT_ROW.fullmatch(sql)
    if parts is None or len(_names(parts["columns"])) != len(is_array):
        return None
    arrays = is_array.count(True)
    numbers = iter(range(arrays + 1, len(is_array) + 1))
    names = iter(range(1, arrays + 1))
    values = [f"c{next(names)}" if each else f"${next(numbers)}" for each in is_array]
    row = _QUOTED_OR_MARK.sub(
        lambda match: values.pop(0) if match[0] == "?" else match[0], parts["row"]
    )
    given = ", ".join(f"${number}" for number in range(1, arrays + 1))
    called = ", ".join(f"c{number}" for number in range(1, arrays + 1))
    text = f"{parts['insert']}SELECT {row} FROM unnest({given}) AS many({called}){parts['rest']}"
    key = None
    if (conflict := _ON_CONFLICT.search(parts["rest"])) is not None:
        own = _names(parts["columns"])
        key = tuple(own.index(name) for name in _names(conflict["key"]))
    return ManyRows(text.encode(), key)


def _names(columns: str) -> list[str]:
    return [name.strip() for name in columns.split(",")]
