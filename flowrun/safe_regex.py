"""Regular expressions of strangers: only those that can't hold up the process.

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

from flowrun.valueclass import valueclass

_MANY = 100
"""A repetition of more times than this is as good as endless."""
_MAX_WAYS = 1000
"""Of the choices and short repetitions together."""

MATCHED_LENGTH = {0: 10_000, 1: 2000, 2: 200}
"""How much of a text is looked at, by the number of endless repetitions; no more are allowed."""


class RegexError(ValueError):
    """The pattern is none, or could take too long; the message says why."""


@valueclass
class Regex:
    """A pattern that may be used on texts of this length."""

    compiled: re.Pattern[str]
    text_length: int


@functools.lru_cache(maxsize=64)
def read_regex(pattern: str) -> Regex:
    """Return the pattern, ready to be used.

    Raises:
        RegexError: it is none, or could take too long.
    """
    try:
        with warnings.catch_warnings():
            # Of what a later Python may read otherwise; it is nothing to who runs this one.
            warnings.simplefilter("ignore", FutureWarning)
            compiled = re.compile(pattern)
            # By name: the module has no types. It is the one that `re.compile` parses with.
            ways = list(_ways(importlib.import_module("re._parser").parse(pattern), depth=0))
    except (re.error, RecursionError, OverflowError) as error:
        raise RegexError(str(error)) from None
    endless = ways.count(math.inf)
    if endless not in MATCHED_LENGTH or math.prod(n for n in ways if n < math.inf) > _MAX_WAYS:
        raise RegexError(
            f"it has too many repetitions or choices; at most {max(MATCHED_LENGTH)} may be endless"
        )
    return Regex(compiled, MATCHED_LENGTH[endless])


def regex_fits(pattern: str, text: str) -> bool:
    """Return whether a whole text fits a pattern; one too long to look at does not."""
    regex = read_regex(pattern)
    return len(text) <= regex.text_length and regex.compiled.fullmatch(text) is not None


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
