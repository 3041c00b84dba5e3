"""Patterns of callers: those that could hold up the server are refused, the others are quick."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowrun.errors import InvalidValueError
from flowrun.tracking.safe_regex import check_regex, regex_matches

TOO_SLOW = {
    "repetition of a repetition": "(a+)+$",
    "repetition of a choice": "(a|aa)*b",
    "many endless ones": "a*a*a*b",
    "many that may be left out": "a?" * 12 + "a" * 12,
    "looking back": r"(a*)\1b",
    "looking around": "(?=a*b)a*",
    "choice after choice": "(a|aa)" * 12,
    "no pattern": "(",
    "too long": "a" * 1001,
}


@pytest.mark.parametrize("pattern", TOO_SLOW.values(), ids=TOO_SLOW)
def test_a_pattern_that_could_take_too_long_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidValueError):
        check_regex(pattern)


@pytest.mark.parametrize(
    ("pattern", "text", "is_found"),
    [
        ("^gpt-4", "gpt-4o", True),
        ("gpt.*mini$", "a gpt-4o-mini", True),
        ("(red|blue)", "green", False),
        ("[a-z]{2,5}x", "abcx", True),
        (r"\d+\.\d+", "v1.25", True),
        ("[[]", "a[0]", True),  # of which Python warns
    ],
)
def test_an_ordinary_pattern_is_matched(pattern: str, text: str, is_found: bool) -> None:
    check_regex(pattern)
    assert regex_matches(pattern, text) is is_found
    assert regex_matches(pattern, None) is None


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="ab().*+?|[]{}12,^$\\", max_size=24))
def test_whatever_is_let_through_ends_soon(pattern: str) -> None:
    try:
        check_regex(pattern)
    except InvalidValueError:
        return
    started = time.process_time()
    regex_matches(pattern, "a" * 20_000)
    assert time.process_time() - started < 1
