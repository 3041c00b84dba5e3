"""How far numbers may differ between two runs and still count as the same."""

from __future__ import annotations

import math

from flowrun.spec.fields import Fields
from flowrun.spec.project import EXACT, MetricTolerance, Tolerance
from flowrun.spec.yaml_nodes import MapNode
from flowrun.valueclass import valueclass

MAX_REPEATS = 100


@valueclass
class MetricsFields:
    """What a `metrics:` says: a file, how far its numbers may differ, or both."""

    path: str | None = None
    tolerance: MetricTolerance | None = None


def parse_tolerance(fields: Fields) -> Tolerance:
    """Return `rtol`, `atol` and `ignore` of a map; EXACT where it has none of them."""
    found = Tolerance(
        _number(fields, "rtol"),
        _number(fields, "atol"),
        tuple(name.text for name in fields.names("ignore")),
    )
    return EXACT if found == EXACT else found


def parse_metrics(fields: Fields) -> MetricsFields:
    """Return the `metrics` of a command: a path, or a map with more about it."""
    entry = fields.entry("metrics")
    if entry is None:
        return MetricsFields()
    if not isinstance(entry.node, MapNode):
        return MetricsFields(fields.path("metrics"))
    what = f"metrics of {fields.what}"
    inner = Fields(entry.node, what, fields.problems)
    path = inner.path("path")
    each = {
        name: _each(Fields(each.node, f"metric '{name}' of {fields.what}", fields.problems))
        for name, each in inner.map("each").items()
        if isinstance(each.node, MapNode)
    }
    for name, each_entry in inner.map("each").items():
        if name not in each:
            text = f"metric '{name}' of {fields.what} must be a map with 'rtol' or 'atol'"
            fields.problems.add(each_entry.mark, text)
    tolerance = MetricTolerance(parse_tolerance(inner), each, _repeat(inner))
    inner.end(unknown_is_error=True)
    return MetricsFields(path, tolerance)


def _each(fields: Fields) -> Tolerance:
    found = Tolerance(_number(fields, "rtol"), _number(fields, "atol"))
    fields.end(unknown_is_error=True)
    return found


def _number(fields: Fields, key: str) -> float:
    text = fields.text(key)
    if text is None:
        return 0.0
    try:
        number = float(text)  # 1e-6 is a text in YAML 1.1
    except ValueError:
        fields.refuse(key, f"'{key}' of {fields.what} must be a number")
        return 0.0
    if not (0 <= number < math.inf):
        fields.refuse(key, f"'{key}' of {fields.what} must be 0 or more")
        return 0.0
    return number


def _repeat(fields: Fields) -> int:
    number = fields.number("repeat")
    if number is None:
        return 1
    if number != int(number) or not 1 <= number <= MAX_REPEATS:
        text = f"'repeat' of {fields.what} must be a whole number from 1 to {MAX_REPEATS}"
        fields.refuse("repeat", text)
        return 1
    return int(number)
