"""The instances of a step, and the values that are known before anything runs."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from flowrun.plan.expressions import ExpressionError, NotEndedError, evaluate_early
from flowrun.plan.plan import Scope
from flowrun.spec.expressions import has_expression
from flowrun.spec.problems import Problems
from flowrun.spec.project import Parameter, StepSpec, Value
from flowrun.spec.values import mismatch

_PLAIN_IN_ID = re.compile(r"[^\[\],=]{1,60}")


@dataclass(frozen=True, slots=True)
class Instance:
    """One concrete step: `train[lr=0.5]`, with its value of each axis."""

    id: str
    matrix: Mapping[str, Value]


def instances_of(
    step: StepSpec, step_id: str, scope: Scope, problems: Problems
) -> tuple[Instance, ...]:
    """Return the instances of a step, in matrix order: the last axis changes fastest.

    Args:
        step_id: the id it has, or would have without a matrix.
        scope: of its pipeline; axis values may be expressions over its parameters.
    """
    if not step.matrix:
        return (Instance(step_id, {}),)
    axes = [
        [(name, value, shown) for value, shown in _axis(name, axis, step, scope, problems)]
        for name, axis in step.matrix.items()
    ]
    return tuple(
        Instance(
            f"{step_id}[{','.join(f'{name}={shown}' for name, _, shown in values)}]",
            {name: value for name, value, _ in values},
        )
        for values in itertools.product(*axes)
    )


def _axis(
    name: str, axis: Value, step: StepSpec, scope: Scope, problems: Problems
) -> list[tuple[Value, str]]:
    """Return an axis's values, each with what stands for it in ids."""
    values: list[tuple[Value, str]] = []
    seen: set[str] = set()
    for position, raw in enumerate(axis.raw if isinstance(axis.raw, tuple) else (axis.raw,)):
        value = known_value(
            Value(raw, axis.mark, axis.key), step, None, scope, Instance("", {}), problems
        )
        text = str(value.raw)
        if is_open(value):
            values.append((value, f"#{position + 1}"))
            continue
        if text in seen:
            problems.add(
                axis.mark,
                f"axis '{name}' of step '{step.name}' has {text} twice, with its expressions "
                "evaluated",
            )
        seen.add(text)
        is_plain = text.isprintable() and _PLAIN_IN_ID.fullmatch(text)
        values.append((value, text if is_plain else f"#{position + 1}"))
    return values


def is_open(value: Value) -> bool:
    """Return whether a value still has to be evaluated when its step's turn comes."""
    return not value.is_literal and has_expression(value.raw)


def known_value(
    value: Value,
    step: StepSpec,
    parameter: Parameter | None,
    scope: Scope,
    instance: Instance,
    problems: Problems,
) -> Value:
    """Return the value itself if that can be known before anything runs, else as it is written.

    Args:
        step: whose argument it is.
        parameter: the one it is for, whose type it must have.
    """
    if not is_open(value):
        return value
    try:
        found = evaluate_early(value, scope, instance.matrix)
    except NotEndedError:
        return value
    except ExpressionError as error:
        problems.add(value.mark, f"step '{step.name}': {error.message}")
        return value
    if isinstance(found, list | Mapping) and parameter is not None:
        found = json.dumps(found)
    if not isinstance(found, str | int | float):
        return value
    problem = mismatch(parameter, str(found)) if parameter else None
    if problem and parameter:
        problems.add(
            value.mark, f"'{found}' for '{parameter.name}' of step '{step.name}' {problem}"
        )
    return Value(found, value.mark, value.key, is_literal=True)
