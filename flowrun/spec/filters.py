"""The filters of expressions that could make much of little, with bounds.

Planning a stranger's project evaluates its expressions, so none may take long or much memory. No
text in an expression is longer than MAX_SEEN, and nothing here makes one longer than MAX_MADE.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sized

from jinja2.exceptions import SecurityError

from flowrun.spec.expressions import MAX_MADE


def join(values: Iterable[object], separator: str = "") -> str:
    """Return the values as one text."""
    texts: list[str] = []
    length = 0
    for value in values:
        texts.append(string(value))
        length += len(texts[-1]) + len(separator)
        if length > MAX_MADE:
            raise too_long()
    return separator.join(texts)


def string(value: object) -> str:
    """Return a single value as text."""
    if isinstance(value, str | bool | int | float):
        return str(value)
    raise SecurityError("only a single value can become text; join(',') makes one of a list")


def total(values: Iterable[object]) -> float:
    """Return the sum of numbers."""
    result: float = 0
    for value in values:
        if not isinstance(value, int | float):
            raise SecurityError("'sum' works on numbers only")
        result += value
    return result


def truth(value: object) -> bool:
    """Return the truth of a value, reading text such as `false` as people mean it."""
    if isinstance(value, str):
        return value.strip().lower() in {"1", "true", "yes", "on"}
    return bool(value)


def check_sum(left: object, right: object) -> None:
    """Refuse to put texts or lists together that come to more than MAX_MADE."""
    if sum(len(each) for each in (left, right) if isinstance(each, Sized)) > MAX_MADE:
        raise too_long()


def check_list(values: Iterable[object]) -> None:
    """Refuse a list that is longer, as text, than MAX_MADE."""
    length = 0
    for value in values:
        nested = isinstance(value, list | tuple | Mapping)
        length += MAX_MADE if nested else len(str(value)) + 2
        if length > MAX_MADE:
            raise too_long()


def too_long() -> SecurityError:
    """Return what is said against a value without measure."""
    return SecurityError(f"this comes to more than {MAX_MADE:,} characters")
