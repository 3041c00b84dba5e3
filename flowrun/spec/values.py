"""Parameter values: which texts a type allows, and what they mean in expressions."""

from __future__ import annotations

import math
import re

from flowrun.spec.project import Parameter, ParameterType, Scalar

_TRUE = frozenset({"true", "yes", "on", "y", "t", "1"})
_FALSE = frozenset({"false", "no", "off", "n", "f", "0"})

PARAMETER_NAME = re.compile(r"[\w.\-:/]+")
"""What MLflow's stores take as a key, without the space: a name may become `--name value`."""


def mismatch(parameter: Parameter, text: str) -> str | None:
    """Return why `text` is no value for the parameter (`is no float`), or None if it is one."""
    if "\0" in text:
        return "holds a NUL character, which no command can take"
    if not parameter.is_checked:
        return None
    try:
        value = typed(parameter.type, text)
    except ValueError:
        article = "an" if parameter.type is ParameterType.INT else "a"
        return f"is not {article} {parameter.type}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _out_of_range(parameter, value)
    return None


def typed(kind: ParameterType, text: str) -> Scalar:
    """Return what `text` means as a value of this type.

    Raises:
        ValueError: it means nothing as one.
    """
    match kind:
        case ParameterType.INT:
            return int(text)
        case ParameterType.FLOAT:
            return float(text)
        case ParameterType.BOOL:
            return _bool(text)
        case ParameterType.STRING | ParameterType.PATH | ParameterType.URI:
            return text


def meaning(parameter: Parameter, text: str) -> Scalar:
    """Return the value that expressions see: of the declared type, or the text if unchecked."""
    try:
        return typed(parameter.type, text)
    except ValueError:
        return text


def _bool(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered in _TRUE:
        return True
    if lowered in _FALSE:
        return False
    raise ValueError(text)


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
