"""Many rows as arrays, one for each column, in PostgreSQL's binary form.

The form: dimensions, whether there are NULLs, the elements' type; length and lower bound of the one
dimension; then each element after its length in bytes, -1 for NULL.
Source: array_recv in PostgreSQL's src/backend/utils/adt/arrayfuncs.c.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from flowrun.valueclass import valueclass

_HEADER = struct.Struct(">5i")
_LENGTH = struct.Struct(">i")
_NULL = _LENGTH.pack(-1)
_NONE = type(None)


@valueclass
class _Kind:
    """A type of values that arrays are made of."""

    element: int
    """Its number in PostgreSQL (pg_type.oid)."""
    array: int
    """That of its arrays."""
    pack: Callable[[Any], bytes]
    code: str = ""
    """What `struct` calls it, if all values have the same length."""


_INT = _Kind(20, 1016, struct.Struct(">q").pack, "q")
_FLOAT = _Kind(701, 1022, struct.Struct(">d").pack, "d")
_KINDS: dict[frozenset[type], _Kind] = {
    frozenset({int}): _INT,
    frozenset({float}): _FLOAT,
    frozenset({float, int}): _FLOAT,
    frozenset({str}): _Kind(25, 1009, str.encode),
    frozenset({bytes}): _Kind(17, 1001, bytes),
}


@valueclass
class Array:
    """One column of many rows."""

    type: int
    data: bytes


@valueclass
class Columns:
    """Many rows, column by column: an array, or the one value that all rows share."""

    values: tuple[Array | Any, ...]

    @property
    def shape(self) -> tuple[bool, ...]:
        """Which of them are arrays."""
        return tuple(isinstance(value, Array) for value in self.values)


def columns_of(rows: Sequence[Sequence[Any]]) -> Columns | None:
    """Give rows as columns; None if there is no array among them, or values that none can hold.

    Raises:
        OverflowError: a number does not fit into 64 bits.
        UnicodeEncodeError: a text holds half of a surrogate pair.
    """
    values: list[Any] = []
    for column in zip(*rows, strict=True):
        # Not of numbers with a point: 0.0 equals -0.0.
        if column[0].__class__ is not float and column.count(column[0]) == len(column):
            values.append(column[0])
        elif (array := _array_of(column)) is not None:
            values.append(array)
        else:
            return None
    columns = Columns(tuple(values))
    return columns if any(columns.shape) else None


def _array_of(column: tuple[Any, ...]) -> Array | None:
    types = frozenset(map(type, column))
    kind = _KINDS.get(types - {_NONE})
    if kind is None:
        return None
    count = len(column)
    try:
        if _NONE not in types and kind.code:
            elements = [8] * (2 * count)
            elements[1::2] = column
            data = _layout(kind.code, count).pack(1, 0, kind.element, count, 1, *elements)
        else:
            header = _HEADER.pack(1, int(_NONE in types), kind.element, count, 1)
            data = b"".join([header, *_elements(column, kind.pack)])
    except struct.error as error:
        raise OverflowError(str(error)) from error
    return Array(kind.array, data)


def _elements(column: tuple[Any, ...], pack: Callable[[Any], bytes]) -> list[bytes]:
    pieces: list[bytes] = []
    for value in column:
        if value is None:
            pieces.append(_NULL)
        else:
            packed = pack(value)
            pieces += (_LENGTH.pack(len(packed)), packed)
    return pieces


@lru_cache(maxsize=64)
def _layout(code: str, count: int) -> struct.Struct:
    return struct.Struct(f">5i{('i' + code) * count}")
