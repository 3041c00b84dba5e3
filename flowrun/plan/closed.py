"""Conditions to be looked at again without their pipeline: by whoever approves a promotion.

Everything that a condition says is written down as it was, but for the champion, which may have
changed since.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence

from flowrun.plan.expressions import is_true
from flowrun.plan.names import ExpressionError, ScopeNames, StepResult, meaning_text
from flowrun.plan.plan import PlannedStep
from flowrun.spec.expressions import (
    Code,
    ExpressionSyntaxError,
    ExpressionValueError,
    condition_code,
    names_in,
    value_of,
)
from flowrun.valueclass import valueclass

_FUNCTIONS: Mapping[str, Callable[[], bool]] = {
    "success": lambda: True,  # or there would be no request
    "failure": lambda: False,
    "always": lambda: True,
}


@valueclass
class Closed:
    """A condition with all that it needs to be looked at again, but for the champion."""

    text: str
    """The expression as written."""
    names: Mapping[str, object] | None
    """What its names come to, as maps in maps; None: it can't be looked at again."""


def closed_conditions(
    step: PlannedStep, results: Mapping[str, StepResult], *, env: Mapping[str, str]
) -> tuple[Closed, ...]:
    """Give those conditions of a promote step that ask about the champion.

    Args:
        step: its conditions hold now.
        results: see `expressions.evaluate`.
        env: likewise; a condition that asks for it can't be looked at again, since what the
            environment says is not written down.
    """
    closed = []
    for gate in step.gates:
        condition = gate.condition
        if condition is None or not isinstance(condition.raw, str):
            continue
        used = names_in(condition_code(condition.raw))
        if any(path[0] == "champion" for path in used.paths):
            names = ScopeNames(gate.scope, gate.matrix, results, env, None, gate)
            closed.append(Closed(condition_code(condition.raw).text, _frozen(used.paths, names)))
    return tuple(closed)


def conditions_to_text(conditions: Sequence[Closed]) -> str:
    """Give conditions as text, for a store to keep; '' for none."""
    if not conditions:
        return ""
    return json.dumps([{"text": each.text, "names": each.names} for each in conditions])


def conditions_from_text(text: str) -> tuple[Closed, ...]:
    """Read what `conditions_to_text` has written.

    Raises:
        ExpressionError: it is something else.
    """
    if not text:
        return ()
    try:
        return tuple(_closed(each) for each in json.loads(text))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ExpressionError("the condition of the request was not written by flowrun") from error


def _closed(data: Mapping[str, object]) -> Closed:
    names = data["names"]
    if not isinstance(names, dict | None):
        raise TypeError
    return Closed(condition_code(str(data["text"])).text, names)


def unmet(conditions: Sequence[Closed], champion: Mapping[str, object] | None) -> str | None:
    """Look at conditions again; give the first that does not hold, in words, None if all do.

    Args:
        conditions: as they were written down.
        champion: as expressions see it; None if the place is empty.

    Raises:
        ExpressionError: one can't be looked at again.
    """
    for each in conditions:
        if each.names is None:
            raise ExpressionError(
                f"'{each.text}' asks for more than was written down: run the pipeline again"
            )
        names = {**each.names, "champion": champion}
        try:
            holds = is_true(value_of(Code(each.text), {**names, **_FUNCTIONS}))
        except (ExpressionSyntaxError, ExpressionValueError) as error:
            raise ExpressionError(f"${{{{ {each.text} }}}}: {error}") from error
        if not holds:
            known = dict.fromkeys(_known(names, names_in(Code(each.text)).paths))
            return f"{each.text} ({', '.join(known)})"
    return None


def _frozen(paths: Sequence[tuple[str, ...]], names: ScopeNames) -> Mapping[str, object] | None:
    """Give what paths come to, as maps in maps; None if that can't be written down."""
    frozen: dict[str, object] = {}
    for path in paths:
        if path[0] == "champion":
            continue
        if path[0] == "env":
            return None
        try:
            found = names.at(path)
        except (ExpressionError, ExpressionValueError):
            continue  # it was not asked for: what came before it has decided
        if not isinstance(found, str | int | float | bool | list | None):
            return None
        inner = frozen
        for name in path[:-1]:
            inner = _map_in(inner, name)
        inner[path[-1]] = found
    return frozen


def _map_in(outer: dict[str, object], name: str) -> dict[str, object]:
    found = outer.setdefault(name, {})
    assert isinstance(found, dict)  # noqa: S101 - a single value has no names below it
    return found


def _known(names: Mapping[str, object], paths: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Give what paths mean, those that come to a single value."""
    for path in paths:
        found: object = names
        for name in path:
            found = found.get(name) if isinstance(found, Mapping) else None
        if isinstance(found, float):
            yield meaning_text(path, f"{found:.6g}")
        elif isinstance(found, str | int):
            yield meaning_text(path, str(found))
