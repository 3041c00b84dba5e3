"""Times, durations, enums and any value as protobuf's JSON has them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowrun.errors import InvalidValueError
from flowrun.tracking.fields import Fields
from flowrun.tracking.proto_json import (
    MAX_TIME_MS,
    duration_from,
    duration_json,
    enum_from,
    time_from,
    time_json,
)

TIMES = {
    "1970-01-01T00:00:00Z": 0,
    "2023-11-14T22:13:20.123456789Z": 1_700_000_000_123,
    "2023-11-14T23:13:20.5+01:00": 1_700_000_000_500,
    "9999-12-31T23:59:59.999Z": MAX_TIME_MS,
}


@pytest.mark.parametrize(("text", "time_ms"), TIMES.items())
def test_a_time_is_read_to_the_millisecond(text: str, time_ms: int) -> None:
    assert time_from(Fields({"t": text}), "t") == time_ms


@given(st.integers(0, MAX_TIME_MS))
def test_a_time_comes_back(time_ms: int) -> None:
    assert time_from(Fields({"t": time_json(time_ms)}), "t") == time_ms


@given(st.integers(-(10**12), 10**12))
def test_a_duration_comes_back(duration_ms: int) -> None:
    assert duration_from(Fields({"d": duration_json(duration_ms)}), "d") == duration_ms


@pytest.mark.parametrize(
    "text", ["yesterday", "1969-12-31T23:59:59Z", "2023-02-30T00:00:00Z", "2023-01-01T00:00:00"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError):
        time_from(Fields({"t": text}), "t")


@pytest.mark.parametrize("text", ["1.5", "s", "1e3s", "1.0000000001s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError):
        duration_from(Fields({"d": text}), "d")


def test_an_enum_is_its_name_or_its_number() -> None:
    names = ("NONE", "ONE")
    assert [enum_from(Fields({"e": value}), "e", names) for value in (1, "ONE", None)] == [
        "ONE",
        "ONE",
        None,
    ]
    for value in (2, -1, True, "TWO", 1.0, [1]):
        with pytest.raises(InvalidValueError):
            enum_from(Fields({"e": value}), "e", names)
