"""Patterns for files of a project: `train.py`, `src`, `*.py`, `lib/**/*.sql`, `/shared/*.py`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

_PARTS = re.compile(r"\*\*/?|\*|\?|\[!?\]?[^\]/]*\]|.", re.DOTALL)


def glob_mistake(text: str) -> str | None:
    """Say what is wrong with a pattern; None if nothing is."""
    if not text.strip("/"):
        return "is empty"
    if "\\" in text or not text.isprintable():
        return "holds a backslash or a control character"
    parts = text.strip("/").split("/")
    if ".." in parts or "." in parts:
        return "has '.' or '..' in it; a '/' in front means the top of the repository"
    return None


@lru_cache(maxsize=256)
def pattern_of(globs: tuple[str, ...]) -> re.Pattern[str]:
    """Return what matches the paths that one of the patterns means, from the tree's top.

    `*` and `?` stop at a `/`, `**` does not; what names a directory means all that is in it.
    """
    return re.compile("|".join(f"(?:{_regex(glob.strip('/'))}(?:/.*)?)" for glob in globs), re.S)


def rooted(globs: Iterable[str], folder: str) -> tuple[str, ...]:
    """Return the patterns as they are from the top of a tree whose project is in a folder."""
    prefix = f"{folder}/" if folder else ""
    return tuple(
        glob[1:] if glob.startswith("/") else f"{_literal(prefix)}{glob}" for glob in globs
    )


def _literal(text: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", text)


def _regex(glob: str) -> str:
    return "".join(_part(part) for part in _PARTS.findall(glob))


def _part(part: str) -> str:
    match part:
        case "**/":
            return "(?:.*/)?"
        case "**":
            return ".*"
        case "*":
            return "[^/]*"
        case "?":
            return "[^/]"
        case _ if len(part) > 1:  # [abc], [!abc]
            inner = part[1:-1]
            sign = "^" if inner.startswith("!") else ""
            chosen = re.escape(inner.removeprefix("!")).replace("\\-", "-")
            return f"[{sign}{chosen}]"
        case _:
            return re.escape(part)
