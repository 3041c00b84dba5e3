"""How long ago, as people write it: `12h`, `30d`, `8w`."""

from __future__ import annotations

import re

from flowrun.errors import UsageError

_UNITS_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_AGE = re.compile(r"(?P<count>\d{1,6})(?P<unit>[mhdw])")


def before(older_than: str, now_ms: int) -> int:
    """Give the time before which things are older than a text says, in ms since the epoch.

    Args:
        older_than: what `--older-than` was given.
        now_ms: the time.

    Raises:
        UsageError: it is no age.
    """
    match = _AGE.fullmatch(older_than.strip())
    if match is None:
        raise UsageError(f"--older-than {older_than}: write it as 12h, 30d or 8w.")
    return now_ms - int(match["count"]) * _UNITS_MS[match["unit"]]
