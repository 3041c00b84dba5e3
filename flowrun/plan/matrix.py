"""The instances of a step: of its matrix, with `include` and `exclude`, or of the items of a list.

`include` and `exclude` mean what they mean in GitHub Actions. Source: GitHub Docs, "Running
variations of jobs in a workflow".
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from flowrun.errors import PlanError
from flowrun.plan.early import is_open, known_value
from flowrun.plan.expressions import ExpressionError, NotEndedError, evaluate_early
from flowrun.plan.plan import Item, Scope
from flowrun.spec.parse_fan import MAX_INSTANCES
from flowrun.spec.problems import Problems
from flowrun.spec.project import FanSpec, Plain, StepSpec, Value
from flowrun.valueclass import valueclass

ITEM = "item"
"""What a `foreach` step's instance has in its matrix."""

_PLAIN_IN_ID = re.compile(r"[^\[\],=]{1,60}")
_PLAIN_ITEM = re.compile(r"(?!#|\*$)[^\[\],=/]{1,60}")


@valueclass
class Instance:
    """One concrete step: `train[lr=0.5]`, with its value of each axis."""

    id: str
    matrix: Mapping[str, Value]


def instances_of(
    step: StepSpec, step_id: str, scope: Scope, problems: Problems
) -> tuple[Instance, ...]:
    """Return the instances of a step without `foreach`, in matrix order: the last axis goes first.

    Args:
        step_id: the id it has, or would have without a matrix.
        scope: of its pipeline; values may be expressions over its parameters.
    """
    if step.fan is None:
        return (Instance(step_id, {}),)
    return _Matrix(step, step.fan, scope, problems).instances(step_id)


def instances_for(step: StepSpec, step_id: str, items: Sequence[Item]) -> tuple[Instance, ...]:
    """Return the instances of a `foreach` step: `train[a.csv]`, in the order of the items.

    An item whose text is long or odd, or was there before, shows as its position: `train[#3]`.
    """
    assert step.fan is not None  # noqa: S101 - asked for such steps only
    mark = step.fan.items.mark if step.fan.items else step.mark
    seen: set[str] = set()
    instances = []
    for position, item in enumerate(items, start=1):
        text = item.name or ("#" if isinstance(item.value, dict) else str(item.value))
        is_plain = item.is_id or (
            text.isprintable() and _PLAIN_ITEM.fullmatch(text) and text not in seen
        )
        seen.add(text)
        value = Value(item.value, mark, is_literal=True)
        name = text if is_plain else f"#{position}"
        instances.append(Instance(f"{step_id}[{name}]", {ITEM: value}))
    return tuple(instances)


def items_of(found: object) -> tuple[Item, ...]:
    """Return the items that a value comes to.

    Raises:
        PlanError: it is no list, or one with something else than single values and maps of them.
    """
    if isinstance(found, str):
        found = _parsed(found)
    if not isinstance(found, list | tuple):
        kind = (
            "a map" if isinstance(found, Mapping) else "nothing" if found is None else repr(found)
        )
        raise PlanError(f"its foreach needs a list, but this is {kind[:100]}")
    if len(found) > MAX_INSTANCES:
        most = f"at most {MAX_INSTANCES:,} can be"
        raise PlanError(f"its foreach comes to {len(found):,} items; {most}")
    return tuple(Item(_item(position, each)) for position, each in enumerate(found, start=1))


def _parsed(text: str) -> object:
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, list) else text


def _item(position: int, value: object) -> Plain:
    if isinstance(value, Mapping):
        return {str(name): _single(position, each) for name, each in value.items()}
    return _single(position, value)


def _single(position: int, value: object) -> str | int | float:
    if isinstance(value, str | int | float):
        return value
    kind = "nothing" if value is None else "a list" if isinstance(value, list) else "a map"
    raise PlanError(
        f"item {position} of its foreach is {kind}; an item is a single value, or a map of them"
    )


@valueclass
class _Named:
    """A value, with what stands for it in ids."""

    value: Value
    shown: str

    @property
    def text(self) -> str:
        return str(self.value.raw)


_Combination = dict[str, _Named]


@valueclass
class _Matrix:
    """A matrix while its combinations are made."""

    step: StepSpec
    fan: FanSpec
    scope: Scope
    problems: Problems

    def instances(self, step_id: str) -> tuple[Instance, ...]:
        combinations = self._combinations()
        if not combinations and (self.fan.exclude or not self.fan.matrix):
            told = f"the matrix of step '{self.step.name}' has no combination left"
            self.problems.add(self.step.mark, told)
        instances: dict[str, Instance] = {}
        for combination, shown, is_included in combinations:
            names = ",".join(f"{name}={combination[name].shown}" for name in shown)
            values = {name: each.value for name, each in combination.items()}
            instance = Instance(f"{step_id}[{names}]", values)
            if instances.setdefault(instance.id, instance) is not instance and is_included:
                told = f"'include' in the matrix of step '{self.step.name}' makes '{instance.id}'"
                self.problems.add(next(iter(values.values())).mark, f"{told} twice")
        return tuple(instances.values())

    def _combinations(self) -> list[tuple[_Combination, Sequence[str], bool]]:
        """Return each combination, the names that tell it apart, and whether `include` made it."""
        axes = {name: self._axis(name, axis) for name, axis in self.fan.matrix.items()}
        every = (
            dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())
        )
        excluded = [self._given(each) for each in self.fan.exclude]
        kept = [
            combination
            for combination in (every if axes else ())
            if not any(_has(combination, each, each) for each in excluded)
        ]
        found: list[tuple[_Combination, Sequence[str], bool]]
        found = [(combination, tuple(axes), False) for combination in kept]
        for position, written in enumerate(self.fan.include, start=1):
            more = self._given(written, position)
            own = [name for name in more if name in axes]
            fitting = [each for each in kept if _has(each, more, own)]
            for combination in fitting:
                combination.update({k: v for k, v in more.items() if k not in axes})
            if not fitting and more:
                found.append((more, tuple(more), True))
        return found

    def _axis(self, name: str, axis: Value) -> list[_Named]:
        values = []
        seen: set[str] = set()
        for position, raw in enumerate(self._listed(name, axis), start=1):
            named = self._known(replace(axis, raw=raw), position)
            if not is_open(named.value) and named.text in seen:
                self.problems.add(
                    axis.mark,
                    f"axis '{name}' of step '{self.step.name}' has {named.text} twice, with its "
                    "expressions evaluated",
                )
            seen.add(named.text)
            values.append(named)
        return values

    def _listed(self, name: str, axis: Value) -> Sequence[Plain]:
        """Return an axis's values; one that is written as an expression must come to a list."""
        if isinstance(axis.raw, tuple):
            return axis.raw
        what = f"axis '{name}' of step '{self.step.name}'"
        told = f"{what} must come to a list of single values, one or more"
        try:
            found = evaluate_early(axis, self.scope, {})
        except NotEndedError:
            told = f"{what} must be known before anything runs; 'foreach' can wait for a step"
        except ExpressionError as error:
            told = f"{what}: {error.message}"
        else:
            values: list[object] = found if isinstance(found, list) else []
            singles = [each for each in values if isinstance(each, str | int | float)]
            if singles and len(singles) == len(values):
                return singles
        self.problems.add(axis.mark, told)
        return ()

    def _given(self, written: Mapping[str, Value], position: int = 0) -> _Combination:
        """Return a combination of `include` or `exclude`."""
        sizes = {
            name: len(axis.raw)
            for name, axis in self.fan.matrix.items()
            if isinstance(axis.raw, tuple)
        }
        return {
            name: self._known(value, sizes.get(name, 0) + position)
            for name, value in written.items()
        }

    def _known(self, written: Value, position: int) -> _Named:
        value = known_value(written, self.step, None, self.scope, {}, self.problems)
        text = str(value.raw)
        is_plain = not is_open(value) and text.isprintable() and _PLAIN_IN_ID.fullmatch(text)
        return _Named(value, text if is_plain else f"#{position}")


def _has(
    combination: _Combination, other: _Combination, names: Sequence[str] | _Combination
) -> bool:
    """Return whether two combinations have the same values of these names."""
    return all(combination[name].text == other[name].text for name in names if name in combination)
