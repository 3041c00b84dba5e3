"""Reads columns of MLflow's tables, as far as this version of MLflow has them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from flowrun.importing.convert import text
from flowrun.importing.sql_reader import Reader, Row
from flowrun.tracking.sql.part import marks

DEFAULT_WORKSPACE = "default"
"""The one that every store has; all is in it unless a server was told otherwise."""


class Tables:
    """The tables of one store."""

    def __init__(self, reader: Reader, columns: Mapping[str, Sequence[str]]) -> None:
        """Read from a store; `columns` has the names of each table's."""
        self._reader = reader
        self.columns = columns

    def pairs(
        self,
        table: str,
        owner: str,
        key: str,
        value: str,
        owners: Sequence[object] | None = None,
    ) -> dict[object, dict[str, str]]:
        """Give each owner's keys and values."""
        where = None if owners is None else (owner, owners)
        found: defaultdict[object, dict[str, str]] = defaultdict(dict)
        for each, name, content in self.select(table, (owner, key, value), where):
            found[each][text(name)] = text(content)
        return found

    def select(
        self,
        table: str,
        columns: Sequence[str],
        where: tuple[str, Sequence[object]] | None = None,
        *,
        order: str = "",
    ) -> Iterator[Row]:
        """Read columns of a table; one that this version of MLflow does not have is NULL."""
        known = self.columns.get(table, ())
        if not known or (where is not None and (where[0] not in known or not where[1])):
            return iter(())
        wanted = ", ".join(_quoted(name) if name in known else "NULL" for name in columns)
        clauses, values = [], list(where[1] if where else ())
        if where is not None:
            clauses.append(f"{_quoted(where[0])} IN ({marks(values)})")
        if "workspace" in known:
            clauses.append("workspace = ?")
            values.append(DEFAULT_WORKSPACE)
        condition = f" WHERE {' AND '.join(clauses)}" if clauses else ""
        ordering = f" ORDER BY {order}" if order else ""
        return self._reader.rows(
            f"SELECT {wanted} FROM {table}{condition}{ordering}",  # noqa: S608 - own names
            values,
        )


def _quoted(name: str) -> str:
    return f'"{name}"'
