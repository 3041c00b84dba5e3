"""Reads the fields of a JSON object that came over the wire, refusing what does not fit.

The words of the refusals are MLflow's, since clients and their tests look for them.
Source: MLflow REST API; how lenient each type is follows protobuf's JSON mapping (an int64 may come
as a text, a double as "NaN", null means absent).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import NoReturn, TypeAlias

from flowrun.errors import InvalidValueError

JsonObject: TypeAlias = dict[str, object]

_INT64_MAX = 2**63 - 1
_SEE_DOCS = " See the API docs for more information about request parameters."


class Fields:
    """The fields of one JSON object, or of a query string, each read by the type it must have.

    A missing field, null, and for texts the empty text, are all "not given".
    """

    __slots__ = ("_is_query", "_path", "_values")

    def __init__(
        self, values: Mapping[str, object], path: str = "", *, is_query: bool = False
    ) -> None:
        """Wrap `values`.

        Args:
            values: the object's members; unknown ones are never looked at.
            path: where the object lies in the request, such as `metrics[0].`; for messages.
            is_query: the values are texts, and a list of one looks like a single text.
        """
        self._values = values
        self._path = path
        self._is_query = is_query

    def with_values(self, values: Mapping[str, object]) -> Fields:
        """Give the same fields, with `values` (of the path) put over them."""
        return Fields({**self._values, **values}, self._path, is_query=self._is_query)

    def has(self, name: str) -> bool:
        """True if the field is there and not null."""
        return self._values.get(name) is not None

    def require(self, name: str) -> None:
        """Refuse the object if the field isn't there."""
        if not self.has(name):
            self._missing(name)

    def text(self, name: str, alias: str | None = None) -> str:
        """Give a text that must be there and not be empty; `alias` is an older name of it."""
        return self.text_or_none(name, alias) or self._missing(name)

    def text_or_none(self, name: str, alias: str | None = None) -> str | None:
        """Give a text, possibly empty, or None if it isn't there."""
        value = self._values.get(name)
        if value is None and alias is not None:
            value = self._values.get(alias)
        if value is None:
            return None
        if not isinstance(value, str) or not _can_be_kept(value):
            raise self._wrong(name, value)
        return value

    def text_or(self, name: str, default: str = "") -> str:
        """Give a text, or the default if it isn't there."""
        value = self.text_or_none(name)
        return default if value is None else value

    def integer(self, name: str) -> int:
        """Give a 64-bit integer that must be there."""
        value = self.integer_or_none(name)
        return self._missing(name) if value is None else value

    def integer_or_none(self, name: str) -> int | None:
        """Give a 64-bit integer, or None if it isn't there."""
        value = self._values.get(name)
        if value is None:
            return None
        if type(value) is not int:
            value = self._to_integer(name, value)
        if not -_INT64_MAX - 1 <= value <= _INT64_MAX:
            raise self._wrong(name, value)
        return value

    def integer_or(self, name: str, default: int) -> int:
        """Give a 64-bit integer, or the default if it isn't there."""
        value = self.integer_or_none(name)
        return default if value is None else value

    def number(self, name: str) -> float:
        """Give a number that must be there; "NaN", "Infinity" and "-Infinity" are numbers too."""
        value = self._values.get(name)
        if type(value) is float:
            return value
        if value is None or value == "":
            return self._missing(name)
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise self._wrong(name, value)
        try:
            return float(value)
        except (ValueError, OverflowError):
            raise self._wrong(name, value) from None

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Give a boolean, or the default if it isn't there."""
        value = self._values.get(name)
        if value is None:
            return default
        if self._is_query and isinstance(value, str):
            if value.lower() in {"true", "false"}:
                return value.lower() == "true"
            raise InvalidValueError(f"Invalid boolean value: {value}, must be 'true' or 'false'.")
        if not isinstance(value, bool):
            raise self._wrong(name, value)
        return value

    def texts(self, name: str) -> list[str]:
        """Give a list of texts; empty if it isn't there."""
        items = self._items(name)
        if not all(isinstance(item, str) and _can_be_kept(item) for item in items):
            raise self._wrong(name, items)
        return [str(item) for item in items]

    def objects(self, name: str) -> list[Fields]:
        """Give a list of objects, each to be read in turn; empty if it isn't there."""
        return [
            self._wrap(name, item, f"{self._path}{name}[{index}].")
            for index, item in enumerate(self._items(name))
        ]

    def nested(self, name: str) -> Fields:
        """Give an object, to be read in turn; without members if it isn't there."""
        value = self._values.get(name)
        return self._wrap(name, {} if value is None else value, f"{self._path}{name}.")

    def json(self, name: str) -> object:
        """Give a value as JSON has it, or None if it isn't there."""
        return self._values.get(name)

    def mapping(self, name: str) -> dict[str, str]:
        """Give an object of texts as a mapping; empty if it isn't there."""
        values = self.nested(name)
        return {key: values.text_or(key) for key in values._values}

    def pairs(self, name: str) -> dict[str, str]:
        """Give a list of `{"key": ..., "value": ...}` objects as a mapping; the last one counts."""
        return {item.text("key"): item.text_or("value") for item in self.objects(name)}

    def _wrap(self, name: str, value: object, path: str) -> Fields:
        if not isinstance(value, dict):
            raise self._wrong(name, value)
        return Fields(value, path)

    def _items(self, name: str) -> Sequence[object]:
        value = self._values.get(name)
        if value is None:
            return ()
        if self._is_query and isinstance(value, str):
            return (value,)
        if not isinstance(value, list):
            raise self._wrong(name, value)
        return value

    def _to_integer(self, name: str, value: object) -> int:
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if isinstance(value, str):
            try:
                return int(value)
            except ValueError:
                pass
        raise self._wrong(name, value)

    def _missing(self, name: str) -> NoReturn:
        raise InvalidValueError(
            f"Missing value for required parameter '{self._path}{name}'.{_SEE_DOCS}"
        )

    def _wrong(self, name: str, value: object) -> InvalidValueError:
        shown = json.dumps(value, sort_keys=True, separators=(",", ":"))
        return InvalidValueError(
            f"Invalid value {shown} for parameter '{self._path}{name}' supplied:  "
            f"Hint: Value was of type '{type(value).__name__}'.{_SEE_DOCS}"
        )


def _can_be_kept(text: str) -> bool:
    """False for a text with a NUL or lone surrogates: JSON can spell them, no store keeps both."""
    if "\0" in text:
        return False
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
