"""Parameter values: which texts a type allows, and what they mean in expressions."""

from __future__ import annotations

import importlib
import json
import math
import re
from collections.abc import Callable

from flowrun.spec.fields import one_of
from flowrun.spec.problems import did_you_mean
from flowrun.spec.project import Parameter, ParameterType, Plain

_TRUE = frozenset({"true", "yes", "on", "y", "t", "1"})
_FALSE = frozenset({"false", "no", "off", "n", "f", "0"})
JSON_TYPES = frozenset({ParameterType.LIST, ParameterType.JSON})
"""Their values are lists and maps in expressions, and JSON in commands."""
_TEXTS = frozenset({ParameterType.STRING, ParameterType.PATH, ParameterType.URI})

PARAMETER_NAME = re.compile(r"[\w.\-:/]+")
"""What MLflow's stores take as a key, without the space: a name may become `--name value`."""


def mismatch(parameter: Parameter, text: str) -> str | None:
    """Return why `text` is no value for the parameter (`is no float`), or None if it is one."""
    if "\0" in text:
        return "holds a NUL character, which no command can take"
    if not parameter.is_checked:
        return None
    try:
        value = typed(parameter, text)
    except ValueError:
        return _other_type(parameter, text)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _out_of_range(parameter, value)
    return _misfit(parameter.pattern, text) if parameter.pattern is not None else None


def typed(parameter: Parameter, text: str) -> Plain:
    """Return what `text` means as a value of the parameter's type.

    Raises:
        ValueError: it means nothing as one.
    """
    match parameter.type:
        case ParameterType.INT:
            return int(text)
        case ParameterType.FLOAT:
            return float(text)
        case ParameterType.BOOL:
            return _bool(text)
        case ParameterType.ENUM:
            if text not in parameter.choices:
                raise ValueError(text)
            return text
        case ParameterType.LIST:
            value = _json(text)
            if not isinstance(value, list):
                raise ValueError(text)
            return value
        case ParameterType.JSON:
            return _json(text)
        case ParameterType.STRING | ParameterType.PATH | ParameterType.URI:
            return text


def meaning(parameter: Parameter, text: str) -> Plain:
    """Return the value that expressions see: of the declared type, or the text if unchecked."""
    try:
        return typed(parameter, text)
    except ValueError:
        return text


def is_text(parameter: Parameter) -> bool:
    """Return whether any text is a value of the parameter's type."""
    return parameter.type in _TEXTS


def text_of(value: Plain, kind: ParameterType) -> str:
    """Return a value of a file as the text of a parameter: as MLflow's `str()`, but for JSON."""
    if kind in JSON_TYPES and not isinstance(value, str):
        return json.dumps(value, default=str)
    return str(value)


def _other_type(parameter: Parameter, text: str) -> str:
    match parameter.type:
        case ParameterType.ENUM:
            return f"is not {one_of(parameter.choices)}.{did_you_mean(text, parameter.choices)}"
        case ParameterType.LIST:
            return "is not a list in JSON, such as [1, 2]"
        case ParameterType.JSON:
            return "is not JSON"
        case _:
            article = "an" if parameter.type is ParameterType.INT else "a"
            return f"is not {article} {parameter.type}"


def _json(text: str) -> Plain:
    try:
        value: Plain = json.loads(text)
    except RecursionError:
        raise ValueError(text) from None
    return value


def _bool(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered in _TRUE:
        return True
    if lowered in _FALSE:
        return False
    raise ValueError(text)


def _misfit(pattern: str, text: str) -> str | None:
    fits: Callable[[str, str], bool] = importlib.import_module("flowrun.safe_regex").regex_fits
    return None if fits(pattern, text) else f"does not fit the pattern {pattern}"


def _out_of_range(parameter: Parameter, value: float) -> str | None:
    low, high = parameter.minimum, parameter.maximum
    if math.isnan(value) and (low is not None or high is not None):
        return "is not a number that can be compared with its limits"
    if low is not None and value < low:
        return f"is less than {shown_number(low)}"
    if high is not None and value > high:
        return f"is more than {shown_number(high)}"
    return None


def shown_number(value: float) -> str:
    """Return the number as a person writes it: `1` for 1.0."""
    return str(int(value)) if math.isfinite(value) and value == int(value) else str(value)


def number_of(value: object) -> float | None:
    """Return a number, or a text that is one; None for anything else, nan included."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return None if math.isnan(number) else number
