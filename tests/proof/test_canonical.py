"""Canonical JSON: what RFC 8785 says, and what is taken out before."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowrun.plan.draw import Json
from flowrun.proof.canonical import canonical_json, clean

NUMBERS = {
    # RFC 8785, appendix B, and where the notation changes.
    "0": 0.0,
    "-1": -1.0,
    "0.1": 0.1,
    "4.5": 4.50,
    "0.002": 2e-3,
    "5e-324": 5e-324,
    "1.7976931348623157e+308": 1.7976931348623157e308,
    "9007199254740992": 9007199254740992.0,
    "295147905179352830000": 295147905179352825856.0,
    "1e+21": 1e21,
    "999999999999999900000": 999999999999999900000.0,
    "1e-7": 1e-7,
    "0.000001": 1e-6,
    "333333333.3333333": 333333333.33333329,
    "-0.0000033333333333333333": -0.0000033333333333333333,
    "12.5": 12.5,
    "100": 100.0,
}

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | TEXTS | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(width=64),
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=20,
)


@pytest.mark.parametrize(("text", "number"), NUMBERS.items(), ids=NUMBERS)
def test_a_number_is_written_as_javascript_writes_it(text: str, number: float) -> None:
    assert canonical_json(number).decode() == text


def test_names_are_ordered_by_their_utf_16_units() -> None:
    names: dict[str, Json] = {"€": 1, "\r": 2, "\ufb33": 3, "1": 4}
    names |= {"😀": 5, "\x80": 6, "ö": 7}
    assert list(json.loads(canonical_json(names)).values()) == [2, 4, 6, 7, 1, 5, 3]


def test_nothing_is_escaped_that_need_not_be() -> None:
    assert canonical_json('é€\x7f/"\\\n\x0f') == '"é€\x7f/\\"\\\\\\n\\u000f"'.encode()


@given(VALUES)
def test_reading_gives_what_was_written(value: Json) -> None:
    value = clean(value)
    text = canonical_json(value)
    # As JavaScript, in which each number is a double.
    again = json.loads(text, parse_int=lambda digits: _exact(int(digits)))
    assert again == value
    assert canonical_json(again) == text


def _exact(whole: int) -> Json:
    return whole if abs(whole) < 2**53 else float(whole)


def test_a_number_that_json_does_not_have_is_refused() -> None:
    for number in (math.nan, math.inf, 2**60):
        with pytest.raises(ValueError, match="JSON"):
            canonical_json(number)


def test_what_json_can_not_hold_is_written_as_text() -> None:
    odd: list[Json] = [math.nan, math.inf, -math.inf, 2**60, "\udcff", True, 1]
    assert clean(odd) == ["NaN", "Infinity", "-Infinity", str(2**60), "�", True, 1]


def test_credentials_in_urls_are_taken_out_wherever_they_stand() -> None:
    told: dict[str, Json] = {"https://me:s3cr3t@host/x": ["see https://t0ken@host/y", {"a": "m@x"}]}
    assert clean(told) == {"https://***@host/x": ["see https://***@host/y", {"a": "m@x"}]}
