"""The forms that protobuf's JSON has for times, durations, enums and any value.

Source: https://protobuf.dev/programming-guides/json/
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from flowrun.errors import InvalidValueError
from flowrun.tracking.checks import invalid_value
from flowrun.tracking.fields import Fields
from flowrun.tracking.trace_entities import JsonValue

MAX_TIME_MS = 253_402_300_799_999
"""The last millisecond of the year 9999, after which no time can be written."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)", re.ASCII)
_DURATION = re.compile(r"(-?)(\d{1,12})(?:\.(\d{1,9}))?s", re.ASCII)
_MAX_DEPTH = 64


def time_json(time_ms: int) -> str:
    """Give a time as text, with milliseconds if it has any."""
    time = _EPOCH + timedelta(milliseconds=min(max(time_ms, 0), MAX_TIME_MS))
    text = time.replace(tzinfo=None).isoformat(timespec="milliseconds")
    return f"{text.removesuffix('.000')}Z"


def time_from(fields: Fields, name: str) -> int | None:
    """Read a time in milliseconds; None if it isn't there."""
    text = fields.text_or_none(name)
    if not text:
        return None
    match = _TIME.fullmatch(text)
    if match is None:
        raise invalid_value(name, text)
    seconds, fraction, zone = match.groups()
    try:
        time = datetime.fromisoformat(f"{seconds}{'+00:00' if zone == 'Z' else zone}")
    except ValueError:
        raise invalid_value(name, text) from None
    return check_time((time - _EPOCH) // timedelta(milliseconds=1) + _thousandths(fraction), name)


def check_time(time_ms: int, name: str) -> int:
    """Give the time; refuse one that can't be written as a date."""
    if not 0 <= time_ms <= MAX_TIME_MS:
        raise invalid_value(name, time_ms, "It must be a time from 1970 to 9999.")
    return time_ms


def duration_json(duration_ms: int) -> str:
    """Give a duration as text."""
    sign = "-" if duration_ms < 0 else ""
    seconds, milliseconds = divmod(abs(duration_ms), 1000)
    return f"{sign}{seconds}.{milliseconds:03}s" if milliseconds else f"{sign}{seconds}s"


def duration_from(fields: Fields, name: str) -> int | None:
    """Read a duration in milliseconds; None if it isn't there."""
    text = fields.text_or_none(name)
    if not text:
        return None
    match = _DURATION.fullmatch(text)
    if match is None:
        raise invalid_value(name, text)
    sign, seconds, fraction = match.groups()
    duration_ms = int(seconds) * 1000 + _thousandths(fraction)
    return -duration_ms if sign else duration_ms


def enum_from(fields: Fields, name: str, names: Sequence[str]) -> str | None:
    """Read an enum by its name, or by its number, which is its place; None if it isn't there."""
    value = fields.json(name)
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(names):
        return names[value]
    if isinstance(value, str) and value in names:
        return value
    raise InvalidValueError(
        f"Invalid value '{value}' for parameter '{name}' supplied. "
        f"It must be one of {', '.join(names)}."
    )


def any_value(value: object, name: str, depth: int = 0) -> JsonValue:
    """Give a value that may be anything JSON can say, checked that it can be said again."""
    match value:
        case None | bool() | int() | str():
            return value
        case float() if math.isfinite(value):
            return value
        case list() if depth < _MAX_DEPTH:
            return [any_value(item, name, depth + 1) for item in value]
        case dict() if depth < _MAX_DEPTH:
            return {str(key): any_value(item, name, depth + 1) for key, item in value.items()}
        case _:
            raise InvalidValueError(
                f"Invalid value for parameter '{name}' supplied: it must be JSON without NaN and "
                f"infinities, with at most {_MAX_DEPTH} levels."
            )


def _thousandths(fraction: str | None) -> int:
    return int((fraction or "0")[:3].ljust(3, "0"))
