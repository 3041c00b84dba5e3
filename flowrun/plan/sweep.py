"""The trials of a sweep: which combinations there are, and what they are called."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping, Sequence

from flowrun.errors import UsageError
from flowrun.spec.parse_space import Choice, Dimension, Range, Space, text_of_number
from flowrun.valueclass import valueclass

MAX_GRID = 100_000

Values = Mapping[str, str]
"""The swept parameters of one trial, as texts."""


@valueclass
class Swept:
    """What a plan leaves open for a sweep."""

    names: tuple[str, ...]
    """The parameters that each trial has its own values of."""
    parallel: int
    """How many trials are under way at once."""


def grid_of(space: Space) -> tuple[Values, ...]:
    """Return all combinations; the last parameter changes fastest.

    Raises:
        UsageError: a range has no step, or there are too many.
    """
    axes = [(name, _points(name, dimension)) for name, dimension in space.items()]
    count = math.prod(len(points) for _, points in axes)
    if count > MAX_GRID:
        raise UsageError(f"the grid has {count:,} trials; at most {MAX_GRID:,} can be")
    names = [name for name, _ in axes]
    every = itertools.product(*(points for _, points in axes))
    return tuple(dict(zip(names, values, strict=True)) for values in every)


def is_grid(space: Space) -> bool:
    """Return whether all combinations can be listed."""
    return not any(isinstance(each, Range) and not _is_countable(each) for each in space.values())


def draw(space: Space, seed: int, number: int) -> Values:
    """Return the values of one trial at random: always the same for a seed and a number."""
    chance = random.Random(f"{seed}/{number}")  # noqa: S311 - nothing is to be kept secret
    return {name: _drawn(dimension, chance) for name, dimension in space.items()}


def trial_name(values: Values, number: int, taken: Sequence[str] | set[str]) -> str:
    """Return what a trial is called: `lr=0.1,depth=4`, or its number if that can't be a name."""
    name = ",".join(f"{key}={_short(text)}" for key, text in values.items())
    is_plain = name.isprintable() and not set(name) & set("[]/#*")
    return name if is_plain and len(name) <= 100 and name not in taken else f"trial {number}"


def _short(text: str) -> str:
    try:
        number = float(text)
    except ValueError:
        return text
    return f"{number:.6g}" if len(text) > 8 else text


def _points(name: str, dimension: Dimension) -> Sequence[str]:
    if isinstance(dimension, Choice):
        return dimension.texts
    if not _is_countable(dimension):
        raise UsageError(
            f"-S {name}: a grid needs values or a step: {name}=0.1,0.2 or {name}=0..1:0.1",
            "Or choose another sampler: --sampler random",
        )
    step = dimension.step or 1
    count = int((dimension.high - dimension.low) / step + 1e-9) + 1
    if count > MAX_GRID:
        raise UsageError(f"-S {name}: {count:,} values; at most {MAX_GRID:,} can be")
    # rounded, as 0.1 + 2 * 0.1 would have seventeen digits
    return [
        text_of_number(float(f"{dimension.low + place * step:.12g}"), is_int=dimension.is_int)
        for place in range(count)
    ]


def _is_countable(dimension: Range) -> bool:
    return dimension.step is not None or (dimension.is_int and not dimension.is_log)


def _drawn(dimension: Dimension, chance: random.Random) -> str:
    if isinstance(dimension, Choice):
        return chance.choice(dimension.texts)
    low, high = dimension.low, dimension.high
    if dimension.step is not None:
        return chance.choice(_points("", dimension))
    if dimension.is_log:
        value = math.exp(chance.uniform(math.log(low), math.log(high)))
        value = min(max(round(value) if dimension.is_int else value, low), high)
    elif dimension.is_int:
        value = chance.randint(int(low), int(high))
    else:
        value = chance.uniform(low, high)
    return text_of_number(value, is_int=dimension.is_int)
