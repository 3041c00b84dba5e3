"""Reads protobuf's binary form: the numbered fields of a message, whatever the message.

Twenty lines of reading instead of a package that takes 45 ms and 4 MB to import: OTLP's messages
are few and frozen (docs/decisions/0015-traces.md). Every fault is an InvalidValueError.
Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from flowrun.errors import InvalidValueError

MAX_FIELDS = 500_000
"""Of one request. Empty fields take two bytes each, and a microsecond; a real batch has 10,000."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED64_FORMAT = struct.Struct("<Q")
_FIXED32_FORMAT = struct.Struct("<I")
_DOUBLE_FORMAT = struct.Struct("<d")


class Protobuf:
    """One request's bytes, read field by field; counts the fields against the limit."""

    __slots__ = ("_data", "_rest")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._rest = MAX_FIELDS

    def fields(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Give the fields of the message at these bytes.

        Gives:
            Of each field its number and two integers: the value twice, if it is a number (signed
            as it came: never), or the first byte and the end of what else it holds.
        """
        data, position = self._data, start
        while position < stop:
            self._rest -= 1
            if self._rest < 0:
                raise malformed(f"more than {MAX_FIELDS} fields; send smaller batches")
            tag, position = self._varint(position, stop)
            number, kind = tag >> 3, tag & 7
            if number == 0:
                raise malformed("a field has no number")
            if kind == _BYTES:
                size, position = self._varint(position, stop)
                end = position + size
                if end > stop:
                    raise malformed("a field ends beyond its message")
                yield number, position, end
                position = end
            elif kind == _VARINT:
                value, position = self._varint(position, stop)
                yield number, value, value
            elif kind in {_FIXED64, _FIXED32}:
                layout = _FIXED64_FORMAT if kind == _FIXED64 else _FIXED32_FORMAT
                if position + layout.size > stop:
                    raise malformed("a number is cut off")
                (value,) = layout.unpack_from(data, position)
                yield number, value, value
                position += layout.size
            else:
                raise malformed(f"wire type {kind}")

    def octets(self, start: int, stop: int) -> bytes:
        """Give a field's bytes."""
        return self._data[start:stop]

    def text(self, start: int, stop: int) -> str:
        """Give a field's text; what is no UTF-8 in it becomes a question mark's cousin."""
        return self._data[start:stop].decode("utf-8", "replace")

    def _varint(self, position: int, stop: int) -> tuple[int, int]:
        data, value, shift = self._data, 0, 0
        while position < stop:
            byte = data[position]
            position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & 0xFFFF_FFFF_FFFF_FFFF, position
            shift += 7
            if shift > 63:
                break
        raise malformed("a number is cut off or too long")


def signed(value: int) -> int:
    """Give an int64 for the unsigned number that carries it."""
    return value - 2**64 if value >= 2**63 else value


def double(value: int) -> float:
    """Give the double whose bits a fixed64 field carries."""
    (number,) = _DOUBLE_FORMAT.unpack(_FIXED64_FORMAT.pack(value))
    return float(number)


def malformed(why: str) -> InvalidValueError:
    """Give the error for bytes that are no such message."""
    return InvalidValueError(f"Invalid OpenTelemetry format: {why}.")
