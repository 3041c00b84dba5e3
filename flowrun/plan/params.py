"""Parameter values from outside the file: the command line's, and those that steps compute."""

from __future__ import annotations

from collections.abc import Mapping

from flowrun.errors import PlanError
from flowrun.spec.problems import did_you_mean, hint_of
from flowrun.spec.project import EntryPoint, Mark, Parameter
from flowrun.spec.values import PARAMETER_NAME, mismatch


def bind_params(
    entry_point: EntryPoint, given: Mapping[str, str], marks: Mapping[str, Mark] | None = None
) -> dict[str, str]:
    """Return the value of every declared parameter, in order, then the undeclared ones as given.

    Args:
        marks: where those stand that come from a file.

    Raises:
        PlanError: with a line for each value that is missing, malformed or unknown. A command
            takes undeclared ones as ` --name value`, as in MLflow; a pipeline does not, and a file
            has declared ones only.
    """
    marks = marks or {}
    problems = []
    bound: dict[str, str] = {}
    for name, parameter in entry_point.parameters.items():
        text = given.get(name, parameter.default)
        if text is None:
            problems.append(
                f"entry point '{entry_point.name}' requires the {parameter.type} '{name}': "
                f"add -P {name}=..."
            )
        elif name in given and (problem := mismatch(parameter, text)):
            problems.append(f"{_place(name, marks)}: '{text}' {problem}")
        else:
            bound[name] = text
    for name, text in given.items():
        if name not in bound and name not in entry_point.parameters:
            problem = _extra_problem(name, text, entry_point, marks)
            if problem:
                problems.append(problem)
            bound[name] = text
    if problems:
        raise PlanError("\n".join(problems))
    return bound


def extra_warnings(entry_point: EntryPoint, given: Mapping[str, str]) -> tuple[str, ...]:
    """Return a warning for each undeclared parameter that looks like a misspelt one."""
    return tuple(
        f"-P {name}: '{entry_point.name}' declares no such parameter; it is passed on as "
        f"--{name}.{hint}"
        for name in given
        if name not in entry_point.parameters
        and (hint := did_you_mean(name, entry_point.parameters))
    )


def check_value(parameter: Parameter, text: str) -> None:
    """Refuse a text that is no value for the parameter.

    Raises:
        PlanError: says why.
    """
    problem = mismatch(parameter, text)
    if problem:
        raise PlanError(f"'{text}' for parameter '{parameter.name}' {problem}")


def _place(name: str, marks: Mapping[str, Mark]) -> str:
    return f"{marks[name]}: {name}" if name in marks else f"-P {name}"


def _extra_problem(
    name: str, text: str, entry_point: EntryPoint, marks: Mapping[str, Mark]
) -> str | None:
    if entry_point.steps or name in marks:
        hint = hint_of(name, entry_point.parameters)
        kind = "pipeline" if entry_point.steps else "entry point"
        place = _place(name, marks)
        return f"{place}: {kind} '{entry_point.name}' has no parameter '{name}'.{hint}"
    if not PARAMETER_NAME.fullmatch(name):
        return f"-P {name}: '{name}' can't become an option: letters, digits and _ - . : / only"
    if "\0" in text:
        return f"-P {name}: holds a NUL character, which no command can take"
    return None
