"""What the parts of the SQL stores share: a database, a clock, a source of ids.

A store has one part for each noun, with its statements beside the code that runs them. The parts
are put together by inheriting from all of them; they share these four values and nothing else, and
none overrides another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from flowrun.tracking.sql.database import Database

T = TypeVar("T")
Row = TypeVar("Row", bound=tuple[object, ...])


class SqlPart:
    """The common ground of `SqlExperiments`, `SqlRuns` and the others."""

    def __init__(
        self,
        database: Database,
        *,
        artifact_root: str,
        now: Callable[[], int],
        new_id: Callable[[], str],
    ) -> None:
        self._database = database
        self._artifact_root = artifact_root
        self._now = now
        self._new_id = new_id


def below(uri: str, *names: str) -> str:
    """Give the URI of something below another URI: `mlflow-artifacts:/`, `1` -> `...:/1`."""
    return uri.rstrip("/") + "/" + "/".join(names)


def marks(values: Iterable[object]) -> str:
    """Give the question marks of an SQL list: `?, ?, ?`; NULL, which nothing equals, for none."""
    return ", ".join("?" for _ in values) or "NULL"


def chunks(items: Sequence[T], size: int = 500) -> Iterator[Sequence[T]]:
    """Cut a list into pieces that fit into one statement's bound values."""
    return (items[start : start + size] for start in range(0, len(items), size))


def in_order(keys: Iterable[object], rows: Iterable[Row]) -> list[Row]:
    """Give rows, which begin with their key, in the order of the keys."""
    by_key = {row[0]: row for row in rows}
    return [by_key[key] for key in keys]
