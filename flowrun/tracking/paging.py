"""Pages and their tokens: base64 of `{"offset": n}`, as MLflow's stores write them.

To a client a token is opaque. Source: mlflow/utils/search_utils.py of MLflow 3.17.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import TypeVar

from flowrun.errors import InvalidValueError
from flowrun.tracking.entities import Page

T = TypeVar("T")


def offset_of(page_token: str | None) -> int:
    """Give the number of items before the page; 0 without a token."""
    if not page_token:
        return 0
    try:
        decoded = base64.b64decode(page_token, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidValueError("Invalid page token, could not base64-decode") from None
    try:
        parsed = json.loads(decoded)
    except ValueError:
        raise InvalidValueError(f"Invalid page token, decoded value={decoded!r}") from None
    offset = parsed.get("offset") if isinstance(parsed, dict) else None
    if not isinstance(offset, int) or not 0 < offset < 2**63:
        raise InvalidValueError(f"Invalid page token, parsed value={parsed}")
    return offset


def page_of(items: Sequence[T], offset: int, max_results: int) -> Page[T]:
    """Make a page of items that were asked for with one more than `max_results`."""
    if len(items) <= max_results:
        return Page(tuple(items))
    return Page(tuple(items[:max_results]), _token(offset + max_results))


def _token(offset: int) -> str:
    return base64.b64encode(json.dumps({"offset": offset}).encode()).decode()
