"""Regular expressions that a caller sends: only those that can't hold up the server.

Python's `re` tries all the ways in which a pattern can match, one after the other, while every
other thread waits. So the ways are counted on the pattern as `re` itself parses it: a repetition
or choice within a repetition is refused, and a pattern with too many of them side by side. What
remains takes milliseconds on a text that is cut to fit.
"""

from __future__ import annotations

import functools
import importlib
import math
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from flowrun.errors import InvalidValueError
from flowrun.tracking import limits

_MANY = 100
"""A repetition of more times than this is as good as endless."""
_MAX_WAYS = 1000
"""Of the choices and short repetitions together."""

MATCHED_LENGTH = {0: 10_000, 1: 2000, 2: 200}
"""How much of a text is looked at, by the number of endless repetitions; no more are allowed."""


@dataclass(frozen=True, slots=True)
class _Regex:
    compiled: re.Pattern[str]
    text_length: int


def check_regex(pattern: str) -> None:
    """Refuse a pattern that is none, or that could take too long."""
    _regex(pattern)


def regex_matches(pattern: str, text: str | None) -> bool | None:
    """Say whether a pattern that was checked is found in a text; None for no text, as in SQL."""
    if text is None:
        return None
    regex = _regex(pattern)
    return bool(regex.compiled.search(text[: regex.text_length]))


@functools.lru_cache(maxsize=64)
def _regex(pattern: str) -> _Regex:
    if len(pattern) > limits.MAX_REGEX_LENGTH:
        raise InvalidValueError(
            f"The pattern of an RLIKE has at most {limits.MAX_REGEX_LENGTH} characters."
        )
    try:
        with warnings.catch_warnings():
            # Of what a later Python may read otherwise; it is nothing to the server's operator.
            warnings.simplefilter("ignore", FutureWarning)
            compiled = re.compile(pattern)
            # By name: the module has no types. It is the one that `re.compile` parses with.
            ways = list(_ways(importlib.import_module("re._parser").parse(pattern), depth=0))
    except (re.error, RecursionError, OverflowError) as error:
        raise InvalidValueError(f"Invalid pattern '{pattern}' of an RLIKE: {error}") from None
    endless = ways.count(math.inf)
    if endless not in MATCHED_LENGTH or math.prod(n for n in ways if n < math.inf) > _MAX_WAYS:
        raise InvalidValueError(
            f"The pattern '{pattern}' of an RLIKE has too many repetitions or choices; "
            f"at most {max(MATCHED_LENGTH)} may be endless."
        )
    return _Regex(compiled, MATCHED_LENGTH[endless])


def _ways(parsed: Iterable[object], *, depth: int) -> Iterator[float]:
    """Give for each choice and repetition how many ways it can go; `depth` counts those around."""
    for item in parsed:
        if not isinstance(item, tuple) or len(item) != 2:
            continue
        operation, argument = str(item[0]), item[1]
        match operation:
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                least, most, inner = argument
                yield _once(depth, math.inf if most > _MANY else most - least + 1)
                yield from _ways(inner, depth=depth + 1)
            case "BRANCH":
                yield _once(depth, len(argument[1]))
                for branch in argument[1]:
                    yield from _ways(branch, depth=depth)
            case "SUBPATTERN":
                yield from _ways(argument[-1], depth=depth)
            case "ASSERT" | "ASSERT_NOT" | "GROUPREF" | "GROUPREF_EXISTS" | "ATOMIC_GROUP":
                raise re.error("it looks around or back")
            case _:
                pass  # a character, a class, a place


def _once(depth: int, ways: float) -> float:
    if depth:
        raise re.error("it repeats a repetition or a choice, which could take too long")
    return ways
