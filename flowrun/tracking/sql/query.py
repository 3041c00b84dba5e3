"""Making the text of a search from comparisons; every value is bound, never written into it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from flowrun.errors import InvalidValueError
from flowrun.tracking.filters import Comparison, FilterValue
from flowrun.tracking.sql.database import Connection
from flowrun.valueclass import valueclass

MAX_JOINS = 40
"""Comparisons and orderings of one search that need a table each; SQLite joins 64 at most."""

SHORT_VALUE = 100
"""Params and tags of at most this many characters are indexed; longer ones only make it big."""

RARE_LENGTH = 16
"""Values of at least this many characters (ids, digests) are few runs' own: look them up first."""

BEST_ROWS, MORE_ROWS = 2000, 6000
"""How far an ordering's own index is walked before all rows are sorted instead: to the second only
if the rows up to the first let expect that it will do."""

_SPARE = 1.25
"""How many times the rows that are wanted a walk must be expected to find."""

Bound = str | int | float


@valueclass
class Query:
    """A statement that gives keys of rows, best first, and the values for its question marks."""

    text: str
    values: tuple[Bound, ...]
    among_best: tuple[Query, ...] = ()
    """Each gives the beginning of the same, from the best rows of an index, the later ones from
    more of them; it may stop too early."""
    walked: int = 0
    """Of one among the best: how many rows of the index it looks at."""

    def keys(self, connection: Connection, limit: int, offset: int) -> list[Bound]:
        """Run it. Only keys go through the sort; the rows are read by key, a page of them."""
        return [key for (key,) in self.rows(connection, limit, offset)]

    def rows(self, connection: Connection, limit: int, offset: int) -> list[tuple[Bound, ...]]:
        """Run it; give the keys as rows, for nouns whose key is several columns."""
        share = 1.0
        for query in self.among_best:
            if share * query.walked < (limit + offset) * _SPARE:
                break
            # PostgreSQL, not told in the text how many rows are wanted, plans for a tenth of them.
            page = f"{query.text} LIMIT {limit} OFFSET {offset}"
            found = connection.execute(page, query.values).fetchall()
            if len(found) == limit:
                return found
            share = (offset + len(found)) / query.walked if found else 0.0
        values = (*self.values, limit, offset)
        return connection.execute(f"{self.text} LIMIT ? OFFSET ?", values).fetchall()


@dataclass
class QueryParts:
    """The parts of a query while it is made; values stand with the part that they are bound in."""

    table: str
    key: str
    """The column that the query gives."""
    joins: list[str] = field(default_factory=list)
    join_values: list[Bound] = field(default_factory=list)
    where: list[str] = field(default_factory=list)
    where_values: list[Bound] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    is_looked_up: bool = False
    """A condition names a few rows by their keys: no other index should be preferred to it."""

    def join(self, text: str, *values: Bound) -> None:
        """Add a join, with an alias from `next_alias`."""
        if len(self.joins) >= MAX_JOINS:
            raise InvalidValueError(
                f"a search can compare and order by at most {MAX_JOINS} metrics, params and tags"
            )
        self.joins.append(text)
        self.join_values.extend(values)

    def next_alias(self) -> str:
        """Give the name for the table of the next join."""
        return f"j{len(self.joins)}"

    def only(self, text: str, *values: Bound) -> None:
        """Add a condition."""
        self.where.append(text)
        self.where_values.extend(values)

    def copy(self) -> QueryParts:
        """Give the same parts, to go on with in another way."""
        copied = replace(self)
        for name in ("joins", "join_values", "where", "where_values", "order"):
            setattr(copied, name, list(getattr(self, name)))
        return copied

    def query_among_best(self, pairs: str, key: str, way: str, walked: int) -> Query:
        """Put the parts together, over those rows alone that come first by a number of theirs.

        What is equal to the last number looked at is left out, since there may be more of it. The
        order begins with `best.value`.

        Args:
            pairs: the table of the numbers, with an index by key and value.
            key: which number.
            way: `ASC` or `DESC`.
            walked: how many rows of the index are looked at.
        """
        ranked = f"FROM {pairs} WHERE key = ? AND is_nan = 0 ORDER BY value {way}"
        text = (
            f"SELECT {self.table}.{self.key}"
            f" FROM (SELECT {self.key}, value {ranked} LIMIT {walked}) best"
            f" CROSS JOIN {self.table} {' '.join(self.joins)}"
            f" WHERE {self.table}.{self.key} = best.{self.key}"
            f" AND best.value {'<' if way == 'ASC' else '>'}"
            f" COALESCE((SELECT value {ranked} LIMIT 1 OFFSET {walked - 1}), ?)"
            f" AND {' AND '.join(self.where)} ORDER BY {', '.join(self.order)}"
        )
        beyond = math.inf if way == "ASC" else -math.inf
        values = (key, *self.join_values, key, beyond, *self.where_values)
        return Query(text, values, walked=walked)

    def query(self, *among_best: Query, walked: int = 0) -> Query:
        """Put the parts together; what is given with them: see `Query`."""
        text = (
            f"SELECT {self.table}.{self.key} FROM {self.table} {' '.join(self.joins)}"
            f" WHERE {' AND '.join(self.where or ['1 = 1'])} ORDER BY {', '.join(self.order)}"
        )
        return Query(text, (*self.join_values, *self.where_values), among_best, walked)

    def count(self) -> Query:
        """Put the parts together to a statement that counts, and needs no order."""
        text = (
            f"SELECT COUNT(*) FROM {self.table} {' '.join(self.joins)}"
            f" WHERE {' AND '.join(self.where or ['1 = 1'])}"
        )
        return Query(text, (*self.join_values, *self.where_values))


def condition(column: str, comparison: Comparison) -> tuple[str, tuple[Bound, ...]]:
    """Give the SQL of a comparison with a column, and the values to bind."""
    operator, values = comparison.operator, bound(comparison.value)
    if operator in {"IN", "NOT IN"}:
        return f"{column} {operator} ({', '.join('?' for _ in values)})", values
    if operator == "ILIKE":
        return f"lower({column}) LIKE lower(?)", values
    return f"{column} {operator} ?", values


def filter_by_pair(
    parts: QueryParts,
    comparison: Comparison,
    pairs: str,
    keys: Sequence[str],
    *,
    least_length: int = RARE_LENGTH,
) -> None:
    """Compare a param or tag.

    Args:
        parts: the query of the noun that has it.
        comparison: what must hold of its value.
        pairs: the table it lies in, as key and value beside the noun's own key.
        keys: the columns of the noun's key, of the same names in both tables.
        least_length: of values that are looked up in the table's own index first.
    """
    length = len(str(comparison.value))
    if comparison.operator == "=" and least_length <= length <= SHORT_VALUE:
        parts.is_looked_up |= length >= RARE_LENGTH
        key = ", ".join(keys)
        own = ", ".join(f"{parts.table}.{name}" for name in keys)
        parts.only(
            f"({own}) IN (SELECT {key} FROM {pairs} WHERE key = ? AND value = ?"
            f" AND length(value) <= {SHORT_VALUE})",
            comparison.key,
            str(comparison.value),
        )
        return
    alias = parts.next_alias()
    same = " AND ".join(f"{alias}.{key} = {parts.table}.{key}" for key in keys)
    if comparison.value is None:
        negation = "NOT " if comparison.operator == "IS NULL" else ""
        text = f"{negation}EXISTS (SELECT 1 FROM {pairs} {alias} WHERE {same} AND {alias}.key = ?)"
        parts.only(text, comparison.key)
        return
    text, values = condition(f"{alias}.value", comparison)
    parts.join(
        f"JOIN {pairs} {alias} ON {same} AND {alias}.key = ? AND {text}", comparison.key, *values
    )


def bound(value: FilterValue) -> tuple[Bound, ...]:
    """Give the values that a comparison binds."""
    if value is None:
        return ()
    return value if isinstance(value, tuple) else (value,)


def direction(*, is_ascending: bool) -> str:
    """Give the word of SQL."""
    return "ASC" if is_ascending else "DESC"
