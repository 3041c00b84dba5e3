"""What makes one step many: `matrix` with `include` and `exclude`, or `foreach`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from flowrun.spec.expressions import has_expression
from flowrun.spec.fields import Fields
from flowrun.spec.problems import hint_of
from flowrun.spec.project import FanSpec, Mark, Scalar, Value
from flowrun.spec.yaml_nodes import Entry, ListNode, MapNode, Node, ScalarNode, plain

MAX_INSTANCES = 10_000
"""Of one step."""

_AXIS = re.compile(r"[^\W\d]\w*")


def parse_fan(fields: Fields) -> FanSpec | None:
    """Return how a step becomes many; None if it does not."""
    if fields.has("matrix") and fields.has("foreach"):
        fields.refuse("foreach", f"{fields.what} has both 'matrix' and 'foreach'; keep one of them")
    matrix, foreach = fields.map("matrix"), fields.entry("foreach")
    if not matrix and foreach is None:
        for key in ("max_parallel", "fail_fast"):
            told = f"'{key}' of {fields.what} goes with 'matrix' or 'foreach'"
            fields.refuse(key, told)
        return None
    axes = {
        name: _axis(name, entry, fields)
        for name, entry in matrix.items()
        if name not in {"include", "exclude"} and _is_axis_name(name, entry.mark, fields)
    }
    fan = FanSpec(
        matrix=axes if _is_small(axes, fields) else {},
        include=_combinations("include", matrix, fields),
        exclude=_combinations("exclude", matrix, fields),
        items=_items(foreach, fields) if foreach is not None else None,
        max_parallel=_max_parallel(fields),
        fail_fast=fields.flag("fail_fast", default=False),
    )
    _check_exclude(fan, fields)
    return fan


def _is_axis_name(name: str, mark: Mark, fields: Fields) -> bool:
    if _AXIS.fullmatch(name):
        return True
    fields.problems.add(mark, f"'{name}' can't name an axis: letters, digits and _ only")
    return False


def _is_small(axes: Mapping[str, Value], fields: Fields) -> bool:
    count = math.prod(len(axis.raw) for axis in axes.values() if isinstance(axis.raw, tuple))
    if count <= MAX_INSTANCES:
        return True
    most = f"at most {MAX_INSTANCES:,} can be"
    fields.refuse("matrix", f"the matrix of {fields.what} has {count:,} instances; {most}")
    return False


def _axis(name: str, entry: Entry, fields: Fields) -> Value:
    what = f"axis '{name}' of {fields.what}"
    node = entry.node
    if isinstance(node, ScalarNode) and has_expression(node.value):
        return Value(node.value, node.mark, entry.mark)
    if not isinstance(node, ListNode) or not node.items:
        fields.problems.add(node.mark, f"{what} must be a list of one value or more")
        return Value(("",), node.mark, entry.mark)
    values: list[Scalar] = []
    seen: set[str] = set()
    for item in node.items:
        if not isinstance(item, ScalarNode) or item.value is None:
            fields.problems.add(item.mark, f"{what} lists single values only")
        elif str(item.value) in seen:
            fields.problems.add(item.mark, f"{what} has {item.value} twice")
        else:
            seen.add(str(item.value))
            values.append(item.value)
    return Value(tuple(values) or ("",), node.mark, entry.mark)


def _combinations(
    key: str, matrix: Mapping[str, Entry], fields: Fields
) -> tuple[Mapping[str, Value], ...]:
    """Return the maps of `include` or `exclude`: names to single values."""
    entry = matrix.get(key)
    if entry is None:
        return ()
    what = f"'{key}' in the matrix of {fields.what}"
    if not isinstance(entry.node, ListNode):
        fields.problems.add(entry.node.mark, f"{what} must be a list of maps")
        return ()
    return tuple(_combination(node, what, fields) for node in entry.node.items)


def _combination(node: Node, what: str, fields: Fields) -> Mapping[str, Value]:
    if not isinstance(node, MapNode) or not node.entries:
        fields.problems.add(node.mark, f"{what} lists maps of names to single values")
        return {}
    values: dict[str, Value] = {}
    for name, entry in node.entries.items():
        if not isinstance(entry.node, ScalarNode) or entry.node.value is None:
            fields.problems.add(entry.node.mark, f"{what} lists maps of names to single values")
        elif _is_axis_name(name, entry.mark, fields):
            values[name] = Value(entry.node.value, entry.node.mark, entry.mark)
    return values


def _check_exclude(fan: FanSpec, fields: Fields) -> None:
    for combination in fan.exclude:
        for name, value in combination.items():
            if name not in fan.matrix:
                text = f"'exclude' in the matrix of {fields.what} has no axis '{name}'."
                fields.problems.add(value.key or value.mark, text + hint_of(name, fan.matrix))


def _items(entry: Entry, fields: Fields) -> Value:
    what = f"'foreach' of {fields.what}"
    node = entry.node
    match node:
        case ScalarNode(value=str(text)) if has_expression(text):
            return Value(text, node.mark, entry.mark)
        case ListNode(items=items) if len(items) <= MAX_INSTANCES:
            for item in items:
                _check_item(item, what, fields)
            return Value(tuple(plain(item) for item in items), node.mark, entry.mark)
        case ListNode(items=items):
            told = f"{what} has {len(items):,} items; at most {MAX_INSTANCES:,} can be"
            fields.problems.add(node.mark, told)
        case _:
            told = f"{what} must be a list, or an expression that comes to one"
            fields.problems.add(node.mark, told)
    return Value((), node.mark, entry.mark)


def _check_item(item: Node, what: str, fields: Fields) -> None:
    inner = [each.node for each in item.entries.values()] if isinstance(item, MapNode) else [item]
    for node in inner:
        if not isinstance(node, ScalarNode) or node.value is None:
            fields.problems.add(node.mark, f"{what} lists single values, or maps of them")
        elif has_expression(node.value):
            told = f"{what} is one expression, or a list without expressions"
            fields.problems.add(node.mark, told)


def _max_parallel(fields: Fields) -> int | None:
    number, entry = fields.number("max_parallel"), fields.entry("max_parallel")
    if number is None or entry is None:
        return None
    if number < 1 or number != int(number):
        told = f"'max_parallel' of {fields.what} must be a whole number, 1 or more"
        fields.problems.add(entry.node.mark, told)
        return None
    return int(number)
