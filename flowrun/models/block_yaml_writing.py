"""Plain block YAML, as people and MLflow expect it, written with the standard library alone."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./+=<> -]*(?<! )")
_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})


def dump(value: object) -> str:
    """Give mappings, lists, texts, numbers, booleans and None as YAML.

    Raises:
        TypeError: something else is in it.
    """
    return "\n".join(_lines(value)) + "\n"


def _lines(value: object) -> list[str]:
    if isinstance(value, Mapping) and value:
        return [line for key, item in value.items() for line in _entry(key, item)]
    if isinstance(value, (list, tuple)) and value:
        return [line for item in value for line in _item(_lines(item))]
    return [_scalar(value)]


def _entry(key: object, value: object) -> list[str]:
    name = _scalar(key)
    if not isinstance(value, (Mapping, list, tuple)) or not value:
        return [f"{name}: {_scalar(value)}"]
    indent = "  " if isinstance(value, Mapping) else ""
    return [f"{name}:", *(indent + line for line in _lines(value))]


def _item(lines: list[str]) -> list[str]:
    return [f"- {lines[0]}", *("  " + line for line in lines[1:])]


def _scalar(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, str):
        return _text(str(value))
    if isinstance(value, (Mapping, list, tuple)):
        return "{}" if isinstance(value, Mapping) else "[]"
    raise TypeError(f"a {type(value).__name__} can't be written as YAML: {value!r}")


def _float(value: float) -> str:
    if not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    text = repr(float(value))
    # YAML 1.1 knows 1e+20 as a text.
    return text.replace("e", ".0e") if "e" in text and "." not in text else text


def _text(value: str) -> str:
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    if value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    return '"' + "".join(map(_escaped, value)) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
