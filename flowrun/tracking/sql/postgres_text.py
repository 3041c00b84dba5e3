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
    r"(?P<insert>\s*INSERT INTO .*? VALUES )(?P<row>\([?, ]+\))(?P<rest>.*)", re.DOTALL
)
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


@lru_cache(maxsize=256)
def translate_rows(sql: str, count: int) -> bytes | None:
    """Give an INSERT of one row as one of many; None if it is no such INSERT.

    One with `DO UPDATE` is none: of two rows with the same key the second must see the first.
    """
    parts = _INSERT_ROW.fullmatch(sql)
    if parts is None or "DO UPDATE" in parts["rest"] or "RETURNING" in parts["rest"]:
        return None
    rows = ", ".join([parts["row"]] * count)
    return translate(parts["insert"] + rows + parts["rest"]).text
