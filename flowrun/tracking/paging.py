"""Pages and their tokens: base64 of `{"offset": n}`, as MLflow's stores write them.

To a client a token is opaque; a metric's history, which may have millions of points, has the point
before the page in it, since skipping them takes longer for each page.
Source: mlflow/utils/search_utils.py of MLflow 3.17.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import TypeAlias, TypeVar

from flowrun.errors import InvalidValueError
from flowrun.tracking.entities import Page

T = TypeVar("T")
Place: TypeAlias = tuple[int, int, float, int]
"""Time, step, value and whether that stands for a nan: what a history is ordered by."""


def offset_of(page_token: str | None) -> int:
    """Give the number of items before the page; 0 without a token."""
    if not page_token:
        return 0
    parsed = _parsed(page_token)
    offset = parsed.get("offset") if isinstance(parsed, dict) else None
    if not isinstance(offset, int) or not 0 < offset < 2**63:
        raise InvalidValueError(f"Invalid page token, parsed value={parsed}")
    return offset


def page_of(items: Sequence[T], offset: int, max_results: int) -> Page[T]:
    """Make a page of items that were asked for with one more than `max_results`."""
    if len(items) <= max_results:
        return Page(tuple(items))
    return Page(tuple(items[:max_results]), _token({"offset": offset + max_results}))


def place_of(page_token: str | None) -> Place | None:
    """Give the place in a metric's history after which the page begins; None without a token."""
    if not page_token:
        return None
    parsed = _parsed(page_token)
    match parsed:
        case {"after": [int(timestamp_ms), int(step), float(value), (0 | 1) as is_nan]} if (
            max(abs(timestamp_ms), abs(step)) < 2**63
        ):
            return timestamp_ms, step, value, is_nan
        case _:
            raise InvalidValueError(f"Invalid page token, parsed value={parsed}")


def token_after(place: Place) -> str:
    """Give the token of the page that begins after a place in a metric's history."""
    return _token({"after": place})


def _parsed(page_token: str) -> object:
    try:
        decoded = base64.b64decode(page_token, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidValueError("Invalid page token, could not base64-decode") from None
    try:
        parsed: object = json.loads(decoded)
    except ValueError:
        raise InvalidValueError(f"Invalid page token, decoded value={decoded!r}") from None
    return parsed


def _token(value: dict[str, object]) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()
