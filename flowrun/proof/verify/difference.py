"""A difference between what was recorded and what came now, and how numbers are compared."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from flowrun.spec.project import Tolerance
from flowrun.valueclass import valueclass

MAX_SHOWN = 20
"""Of the differences of one output so many are told; the rest is counted."""
MAX_TEXT = 120


@valueclass
class Difference:
    """One place where the two are not the same."""

    place: str
    """`output 'table', row 3, column 'lr'`; `metric 'rmse'`."""
    recorded: str
    found: str
    delta: float | None = None
    """How far apart numbers are; None for anything else."""

    def __str__(self) -> str:
        """Say it in one line."""
        far = "" if self.delta is None else f" (apart by {self.delta:.3g})"
        return f"{self.place}: was {self.recorded}, is {self.found}{far}"


@dataclass(slots=True)
class Differences:
    """Takes differences one by one; keeps the first ones and the largest."""

    shown: list[Difference] = field(default_factory=list)
    count: int = 0
    largest: float | None = None

    def add(self, difference: Difference) -> None:
        """Count a difference."""
        self.count += 1
        if len(self.shown) < MAX_SHOWN:
            self.shown.append(difference)
        if difference.delta is not None and not (self.largest or 0.0) > difference.delta:
            self.largest = difference.delta

    def merge(self, others: Differences) -> None:
        """Count what others have counted."""
        before = self.count
        self.extend(others.shown)
        self.count = before + others.count
        if others.largest is not None and not (self.largest or 0.0) > others.largest:
            self.largest = others.largest

    def extend(self, differences: Iterable[Difference]) -> None:
        """Count several."""
        for difference in differences:
            self.add(difference)


def is_same_number(recorded: float, found: float, tolerance: Tolerance) -> bool:
    """Whether two numbers are the same within a tolerance; nan is the same as nan."""
    if recorded == found or (math.isnan(recorded) and math.isnan(found)):
        return True
    if not (math.isfinite(recorded) and math.isfinite(found)):
        return False
    return abs(recorded - found) <= tolerance.atol + tolerance.rtol * abs(recorded)


def number_difference(place: str, recorded: float, found: float) -> Difference:
    """Give the difference of two numbers."""
    delta = abs(recorded - found)
    return Difference(place, f"{recorded!r}", f"{found!r}", None if math.isnan(delta) else delta)


def scalar_differences(
    place: str, recorded: object, found: object, tolerance: Tolerance
) -> Iterator[Difference]:
    """Give the difference of two single values, if they are not the same."""
    numbers = isinstance(recorded, int | float) and isinstance(found, int | float)
    if numbers and not isinstance(recorded, bool) and not isinstance(found, bool):
        assert isinstance(recorded, int | float)  # noqa: S101 - for the type checker
        assert isinstance(found, int | float)  # noqa: S101
        if not is_same_number(_float(recorded), _float(found), tolerance) or (
            isinstance(recorded, int) and isinstance(found, int) and _is_other(recorded, found)
        ):
            yield number_difference(place, recorded, found)
    elif type(recorded) is not type(found) or recorded != found:
        yield Difference(place, shown(recorded), shown(found))


def text_differences(
    place: str, recorded: str, found: str, tolerance: Tolerance
) -> Iterator[Difference]:
    """Give the difference of two texts that may be numbers (cells of a table), if they differ."""
    if recorded == found:
        return
    try:
        numbers = float(recorded), float(found)
    except ValueError:
        yield Difference(place, shown(recorded), shown(found))
        return
    if tolerance.rtol == tolerance.atol == 0:
        yield Difference(place, shown(recorded), shown(found), _delta(*numbers))
    elif not is_same_number(*numbers, tolerance):
        yield number_difference(place, *numbers)


def is_ignored(name: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns (`*` and `?`) stands for a name."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def shown(value: object) -> str:
    """Give a value as a message shows it: one line, not too long."""
    text = repr(value)
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 3]}..."


def presence(value: object) -> str:
    """Give what a message says of something that only one side may have."""
    return "not there" if value is None else shown(value)


def _float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:  # Python's whole numbers have no end
        return math.inf if number > 0 else -math.inf


def _is_other(recorded: int, found: int) -> bool:
    """Whether whole numbers differ that are too large for a float to tell apart."""
    return recorded != found and float(_float(recorded)) == float(_float(found))


def _delta(recorded: float, found: float) -> float | None:
    delta = abs(recorded - found)
    return None if math.isnan(delta) else delta
