"""Durations as people write them in a project file: 90s, 30m, 1.5h, 7d, 2w."""

from __future__ import annotations

import re

from flowrun.spec.fields import Fields

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def parse_duration_s(fields: Fields, key: str, examples: str) -> float | None:
    """Return a duration in seconds, None if it is absent or wrong.

    Args:
        fields: of the map that holds it.
        key: its key.
        examples: what a message names as well formed: `7d, 12h or 30m`.
    """
    name = fields.name(key)
    if name is None:
        return None
    found = _DURATION.fullmatch(name.text)
    if found is None:
        fields.problems.add(
            name.mark, f"'{key}' of {fields.what} must be like {examples}, not '{name.text}'"
        )
        return None
    return float(found[1]) * _SECONDS[found[2]]
