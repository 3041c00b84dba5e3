"""`evaluate`: how good a model is, and what it must reach."""

from __future__ import annotations

import json
import re

from flowrun.spec.expressions import has_expression
from flowrun.spec.fields import Fields, one_of
from flowrun.spec.problems import did_you_mean
from flowrun.spec.project import Evaluate, Value
from flowrun.spec.values import PARAMETER_NAME
from flowrun.spec.yaml_nodes import Entry, ListNode, MapNode, Node, ScalarNode, plain

MODEL_TYPES = (
    "classifier",
    "regressor",
    "ranking",
    "retriever",
    "text",
    "question-answering",
    "text-summarization",
)
"""What the light client computes metrics for; the words are MLflow's but for `ranking`."""
AVERAGES = ("weighted", "macro", "micro")
LIMITS = ("min", "max", "better_than_champion_by", "higher_is_better")

_TEXTS = ("target", "predictions", "weights", "positive", "group")
_FUNCTION = re.compile(r"[\w./-]+:\w+")
_GAIN = re.compile(r"[0-9]+(\.[0-9]+)?([eE]-?[0-9]+)? ?%?")


def parse_evaluate(fields: Fields) -> Evaluate | None:
    """Return what the step evaluates, None if that can't be read.

    Args:
        fields: the map below `evaluate`.
    """
    arguments: dict[str, Value | None] = {"model": fields.value("model")}
    arguments["data"] = fields.value("data")
    kind = _choice(fields, "type", MODEL_TYPES)
    arguments["type"] = kind
    arguments |= {name: fields.value(name) for name in _TEXTS}
    arguments["average"] = _choice(fields, "average", AVERAGES)
    arguments["k"] = _count(fields)
    arguments["metrics"] = _metrics(fields)
    arguments["slices"] = _slices(fields)
    arguments |= _thresholds(fields)
    baseline = fields.value("baseline")
    has_all = _has_all(fields, kind)
    fields.end(unknown_is_error=True)
    if not has_all:
        return None
    return Evaluate({k: v for k, v in arguments.items() if v is not None}, baseline)


def _has_all(fields: Fields, kind: Value | None) -> bool:
    missing = [] if fields.has("data") else ["'data'"]
    if not fields.has("model") and not fields.has("predictions"):
        missing.append("'model', or 'predictions' (a column of the data)")
    if not fields.has("type") and not fields.has("metrics"):
        missing.append(f"'type' ({one_of(MODEL_TYPES)}), or 'metrics' of its own")
    if kind is not None and not fields.has("target"):
        missing.append("'target' (the column of what is true)")
    if missing:
        fields.problems.add(fields.node.mark, f"{fields.what} needs {' and '.join(missing)}")
    return not missing


def _choice(fields: Fields, key: str, known: tuple[str, ...]) -> Value | None:
    name = fields.name(key)
    if name is None:
        return None
    if name.text not in known:
        hint = did_you_mean(name.text, known)
        told = f"'{key}' of {fields.what} must be {one_of(known)}, not '{name.text}'.{hint}"
        fields.problems.add(name.mark, told)
    return Value(name.text, name.mark)


def _count(fields: Fields) -> Value | None:
    value = fields.value("k")
    if value is None or has_expression(value.raw):
        return value
    if not isinstance(value.raw, int) or isinstance(value.raw, bool) or value.raw < 1:
        told = f"'k' of {fields.what} must be a whole number, 1 or more"
        fields.problems.add(value.mark, told)
    return value


def _metrics(fields: Fields) -> Value | None:
    """Return own metrics (`module:function`), and names under which known ones are logged too."""
    names = fields.names("metrics")
    for name in names:
        if ":" in name.text and not _FUNCTION.fullmatch(name.text):
            fields.problems.add(
                name.mark,
                f"'{name.text}' in 'metrics' of {fields.what} must be module:function or "
                "file.py:function",
            )
    return _as_json([name.text for name in names], fields, "metrics") if names else None


def _slices(fields: Fields) -> Value | None:
    entry = fields.entry("slices")
    if entry is None:
        return None
    nodes = entry.node.items if isinstance(entry.node, ListNode) else [entry.node]
    good = [_is_slice(node, fields) for node in nodes]
    return _as_json([plain(node) for node in nodes], fields, "slices") if all(good) else None


def _is_slice(node: Node, fields: Fields) -> bool:
    if isinstance(node, ScalarNode) and node.value is not None:
        return True
    by = node.entries.get("by") if isinstance(node, MapNode) else None
    told = f"'slices' of {fields.what} lists columns, or maps of 'by' (a column) and 'bins'"
    if not isinstance(node, MapNode) or by is None or not isinstance(by.node, ScalarNode):
        fields.problems.add(node.mark, told)
        return False
    for key, entry in node.entries.items():
        if key not in {"by", "bins"}:
            fields.problems.add(entry.mark, f"{told}; there is no '{key}'")
            return False
    bins = node.entries.get("bins")
    if bins is not None and not _are_bins(bins.node):
        fields.problems.add(
            bins.node.mark,
            f"'bins' in 'slices' of {fields.what} must be a number of ranges, 2 or more, or a list "
            "of rising numbers between them",
        )
        return False
    return True


def _are_bins(node: Node) -> bool:
    match plain(node):
        case bool():
            return False
        case int() as count:
            return count > 1
        case list() as edges:
            numbers = [each for each in edges if isinstance(each, int | float)]
            return bool(edges) and len(numbers) == len(edges) and numbers == sorted(set(numbers))
        case _:
            return False


def _thresholds(fields: Fields) -> dict[str, Value]:
    """Return each limit as an argument of its own: `threshold.rmse.max`."""
    found: dict[str, Value] = {}
    for metric, entry in fields.map("thresholds").items():
        what = f"threshold '{metric}' of {fields.what}"
        if not PARAMETER_NAME.fullmatch(metric):
            told = f"{what} can't name a metric: letters, digits and _ - . : / only"
            fields.problems.add(entry.mark, told)
            continue
        if not isinstance(entry.node, MapNode) or not entry.node.entries:
            told = f"{what} must be a map of {', '.join(LIMITS[:-1])} or {LIMITS[-1]}"
            fields.problems.add(entry.node.mark, told)
            continue
        limits = Fields(entry.node, what, fields.problems)
        values = {key: limits.value(key) for key in LIMITS}
        limits.end(unknown_is_error=True)
        _check_limits(values, limits, fields)
        found |= {f"threshold.{metric}.{key}": v for key, v in values.items() if v is not None}
    return found


def _check_limits(values: dict[str, Value | None], limits: Fields, around: Fields) -> None:
    low, high = (_number(values[key], key, limits) for key in ("min", "max"))
    if low is not None and high is not None and low > high:
        limits.refuse("max", f"{limits.what}: 'max' is less than 'min'")
    gain = values["better_than_champion_by"]
    if gain is not None:
        if not around.has("baseline"):
            told = f"{limits.what}: 'better_than_champion_by' goes with a 'baseline'"
            limits.refuse("better_than_champion_by", told)
        text = str(gain.raw)
        if not has_expression(gain.raw) and not _GAIN.fullmatch(text):
            told = (
                f"'better_than_champion_by' of {limits.what} must be a number, 0 or more, or a "
                f"share such as 1%, not '{text}'"
            )
            limits.problems.add(gain.mark, told)
    higher = values["higher_is_better"]
    if higher is not None and not isinstance(higher.raw, bool):
        told = f"'higher_is_better' of {limits.what} must be true or false"
        limits.problems.add(higher.mark, told)
    if all(values[key] is None for key in LIMITS[:-1]) and limits.node.entries:
        told = f"{limits.what} sets no limit: give {one_of(LIMITS[:-1])}"
        limits.problems.add(limits.node.mark, told)


def _number(value: Value | None, key: str, limits: Fields) -> float | None:
    if value is None or has_expression(value.raw):
        return None
    if isinstance(value.raw, int | float) and not isinstance(value.raw, bool):
        return float(value.raw)
    limits.problems.add(value.mark, f"'{key}' of {limits.what} must be a number")
    return None


def _as_json(items: object, fields: Fields, key: str) -> Value:
    entry: Entry = fields.node.entries[key]
    return Value(json.dumps(items), entry.node.mark, entry.mark, is_literal=True)
