"""What the values and conditions of a step come to when its turn has come."""

from __future__ import annotations

from collections.abc import Mapping

from flowrun.errors import PlanError
from flowrun.plan.names import Champion, ExpressionError, NotEndedError, ScopeNames, StepResult
from flowrun.plan.plan import Gate, PipelineEnd, PlannedStep, Scope
from flowrun.spec.project import Value

__all__ = [
    "Champion",
    "ExpressionError",
    "NotEndedError",
    "StepResult",
    "condition_holds",
    "conditions_text",
    "evaluate",
    "evaluate_early",
]

_FALSE_TEXTS = frozenset({"", "0", "false", "no", "none", "off"})


def evaluate(
    value: Value,
    step: PlannedStep,
    results: Mapping[str, StepResult],
    *,
    env: Mapping[str, str],
    champion: Champion | None = None,
) -> object:
    """Return what a value of a step comes to: itself, or what its expressions say.

    A value that is one expression keeps its type; expressions within text become text.

    Args:
        step: whose value it is; its scope and matrix give the names their meaning.
        results: of every step that has ended, by id.
        env: what `env.NAME` means.
        champion: for a promote step's values; None where there can be none.

    Raises:
        ExpressionError: with the value's place.
    """
    names = ScopeNames(step.scope, step.matrix, results, env, champion)
    try:
        return names.value(value)
    except NotEndedError:
        raise
    except ExpressionError as error:
        raise ExpressionError(f"{value.mark}: step '{step.id}': {error.message}") from error


def evaluate_early(value: Value, scope: Scope, matrix: Mapping[str, Value]) -> object:
    """Return what a value comes to before anything runs.

    Raises:
        NotEndedError: it asks for a step's result, or for the environment.
        ExpressionError: it can't be evaluated; the message has no place.
    """
    return ScopeNames(scope, matrix, {}, None, None).value(value)


def condition_holds(
    step: PlannedStep,
    results: Mapping[str, StepResult],
    *,
    env: Mapping[str, str],
    champion: Champion | None = None,
) -> bool:
    """Return whether the step may run: each `if` that governs it holds.

    Args:
        step: all it needs has ended, and the schedule has started it.
        results: see `evaluate`, which has the other arguments as well.

    Raises:
        ExpressionError: a condition can't be evaluated.
        PlanError: the step is the end of a nested pipeline in which a step failed.
    """
    for gate in step.gates:
        names = ScopeNames(gate.scope, gate.matrix, results, env, champion, gate)
        if not _holds(gate, names, step):
            return False
    if isinstance(step.action, PipelineEnd):
        _check_inner_steps(step, results)
    return True


def conditions_text(
    step: PlannedStep,
    results: Mapping[str, StepResult],
    *,
    env: Mapping[str, str],
    champion: Champion | None = None,
) -> str:
    """Return the conditions of a step in words, with the values they compare; "" without any.

    For arguments see `condition_holds`, which has been asked before.
    """
    return " and ".join(
        ScopeNames(gate.scope, gate.matrix, results, env, champion, gate).explained(gate.condition)
        for gate in step.gates
        if gate.condition is not None
    )


def _holds(gate: Gate, names: ScopeNames, step: PlannedStep) -> bool:
    if gate.condition is None:
        return names.success()
    if not gate.looks_at_status and not names.success():
        return False
    try:
        return is_true(names.condition(gate.condition))
    except NotEndedError:
        raise
    except ExpressionError as error:
        place = gate.condition.mark
        raise ExpressionError(f"{place}: 'if' of step '{step.id}': {error.message}") from error


def is_true(value: object) -> bool:
    """Return the truth of a value; text is read as people mean it, as commands write text only."""
    return value.strip().lower() not in _FALSE_TEXTS if isinstance(value, str) else bool(value)


def _check_inner_steps(end: PlannedStep, results: Mapping[str, StepResult]) -> None:
    tolerated = end.gates[-1].tolerated
    failed = [
        step_id
        for step_id in end.needs
        if results[step_id].status in {"failed", "killed"} and step_id not in tolerated
    ]
    if failed:
        raise PlanError(f"its step '{failed[0]}' {results[failed[0]].status}")
