"""Which values of a step may hold expressions, and what they refer to.

The checks of the file and the plan's dependencies both come from here, so that nothing can be
evaluated later that was not seen before anything ran.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from enum import Enum, auto

from flowrun.spec.expressions import (
    Code,
    Names,
    condition_code,
    has_expression,
    names_in,
    parts_of,
)
from flowrun.spec.project import Evaluate, FanSpec, Promote, Register, Select, StepSpec, Value


class Use(Enum):
    """What a value is for, which decides what its expressions may name."""

    ARGUMENT = auto()
    VARIABLE = auto()
    AXIS = auto()
    AXIS_LIST = auto()
    ITEMS = auto()
    CONDITION = auto()
    REGISTRATION = auto()
    PROMOTION = auto()
    RESULT = auto()


def values_of(step: StepSpec) -> Iterator[tuple[Value, Use]]:
    """Yield every single value of a step that may hold an expression."""
    for value in step.arguments.values():
        yield value, Use.ARGUMENT
    for value in step.variables.values():
        yield value, Use.VARIABLE
    if step.fan is not None:
        yield from _values_of_fan(step.fan)
    if step.condition is not None:
        yield step.condition, Use.CONDITION
    match step.action:
        case Select(threshold=Value() as threshold):
            yield threshold, Use.ARGUMENT
        case Register() as register:
            found = (
                *(register.name, register.model, register.description, register.alias),
                register.dry_run,
            )
            for each in (*found, *register.tags.values()):
                if each is not None:
                    yield each, Use.REGISTRATION
        case Promote() as promote:
            fields = (
                *(promote.name, promote.version, promote.stage, promote.alias, promote.reason),
                *(promote.dry_run, promote.require_signature),
            )
            for each in fields:
                if each is not None:
                    yield each, Use.PROMOTION
        case Evaluate() as evaluate:
            for each in (*evaluate.arguments.values(), evaluate.baseline):
                if each is not None:
                    yield each, Use.ARGUMENT
        case _:
            pass


def _values_of_fan(fan: FanSpec) -> Iterator[tuple[Value, Use]]:
    for axis in fan.matrix.values():
        if isinstance(axis.raw, tuple):
            for raw in axis.raw:
                yield replace(axis, raw=raw), Use.AXIS
        else:
            yield axis, Use.AXIS_LIST
    for combination in (*fan.include, *fan.exclude):
        for value in combination.values():
            yield value, Use.AXIS
    if fan.items is not None:
        yield fan.items, Use.ITEMS


def codes_of(value: Value, use: Use) -> tuple[Code, ...]:
    """Return the expressions in a value.

    Raises:
        ExpressionSyntaxError: one has no end, or an `if` has text around it.
    """
    if not isinstance(value.raw, str):
        return ()
    if use is Use.CONDITION:
        return (condition_code(value.raw),)
    if not has_expression(value.raw):
        return ()
    return tuple(part for part in parts_of(value.raw) if isinstance(part, Code))


def names_of(value: Value, use: Use) -> tuple[Names, ...]:
    """Return what each expression of a value uses.

    Raises:
        ExpressionSyntaxError: one can't be read or uses what is not allowed.
    """
    return tuple(names_in(code) for code in codes_of(value, use))


def steps_before(step: StepSpec) -> tuple[str, ...]:
    """Return the names of the steps that must end before this one, in the order of mention.

    For a checked project: an expression that can't be read has been reported already.
    """
    found = [name.text for name in step.needs]
    if isinstance(step.action, Select):
        found.append(step.action.step.text)
    for value, use in values_of(step):
        for names in names_of(value, use):
            found += [path[1] for path in names.paths if path[0] == "steps" and len(path) > 1]
    return tuple(dict.fromkeys(found))


def looks_at_status(condition: Value | None) -> bool:
    """Return whether an `if` asks how the steps before it ended, and so decides even then."""
    if condition is None:
        return False
    return any(names.functions for names in names_of(condition, Use.CONDITION))
