"""The values of a step that are known before anything runs."""

from __future__ import annotations

import json
from collections.abc import Mapping

from flowrun.plan.expressions import ExpressionError, NotEndedError, evaluate_early
from flowrun.plan.plan import Scope
from flowrun.spec.expressions import has_expression
from flowrun.spec.problems import Problems
from flowrun.spec.project import Parameter, StepSpec, Value
from flowrun.spec.values import mismatch


def is_open(value: Value) -> bool:
    """Return whether a value still has to be evaluated when its step's turn comes."""
    return not value.is_literal and has_expression(value.raw)


def known_value(
    value: Value,
    step: StepSpec,
    parameter: Parameter | None,
    scope: Scope,
    matrix: Mapping[str, Value],
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
        found = evaluate_early(value, scope, matrix)
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
