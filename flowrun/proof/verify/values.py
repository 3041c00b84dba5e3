"""Compares what JSON and YAML can say: maps, lists and single values."""

from __future__ import annotations

from collections.abc import Iterator

from flowrun.proof.verify.difference import Difference, is_ignored, scalar_differences, shown
from flowrun.spec.project import Tolerance


class UnreadableError(Exception):
    """A file is not what its name says: it is compared byte by byte."""


def compare_values(
    place: str, recorded: object, found: object, tolerance: Tolerance
) -> Iterator[Difference]:
    """Compare what JSON or YAML can say, in the order of the recorded one."""
    waiting = [(place, recorded, found)]
    while waiting:  # a loop, since data may be nested more deeply than calls
        place, old, new = waiting.pop()
        if place and is_ignored(place, tolerance.ignore):
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            keys = dict.fromkeys([*old, *new])
            inner = [(f"{place}.{key}" if place else str(key), key) for key in keys]
            missing = [(where, key) for where, key in inner if key not in old or key not in new]
            for where, key in missing:
                if not is_ignored(where, tolerance.ignore):
                    yield Difference(where, _value(old, key), _value(new, key))
            shared = [(w, old[k], new[k]) for w, k in inner if k in old and k in new]
            waiting += reversed(shared)
        elif isinstance(old, list) and isinstance(new, list):
            if len(old) != len(new):
                yield Difference(place or "list", f"{len(old)} values", f"{len(new)} values")
            pairs = zip(old, new, strict=False)
            waiting += reversed([(f"{place}[{i}]", a, b) for i, (a, b) in enumerate(pairs)])
        else:
            yield from scalar_differences(place or "value", old, new, tolerance)


def _value(data: dict[object, object], key: object) -> str:
    return shown(data[key]) if key in data else "not there"
