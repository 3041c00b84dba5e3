"""The `parameters` of an entry point: MLflow's two forms, with checks that MLflow leaves out."""

from __future__ import annotations

from flowrun.spec.fields import Fields, one_of
from flowrun.spec.problems import Problems, did_you_mean
from flowrun.spec.project import Mark, Parameter, ParameterType
from flowrun.spec.values import PARAMETER_NAME, mismatch
from flowrun.spec.yaml_nodes import Entry, MapNode, ScalarNode, plain

_TYPES = {**{each.value: each for each in ParameterType}, "str": ParameterType.STRING}


def parse_parameters(fields: Fields) -> dict[str, Parameter]:
    """Return the parameters an entry point declares, in order."""
    parameters = {}
    for name, entry in fields.map("parameters").items():
        if not PARAMETER_NAME.fullmatch(name):
            fields.problems.add(
                entry.mark,
                f"'{name}' can't name a parameter: letters, digits and _ - . : / only",
            )
        parameters[name] = _parameter(name, entry, fields)
    return parameters


def _parameter(name: str, entry: Entry, around: Fields) -> Parameter:
    what = f"parameter '{name}' of {around.what}"
    problems = around.problems
    match entry.node:
        case ScalarNode(value=str(text)):
            return Parameter(name, _type(text, entry.node.mark, what, problems), None, entry.mark)
        case MapNode() as node:
            return _full_parameter(name, Fields(node, what, problems), entry.mark)
        case node:
            problems.add(
                node.mark,
                f"{what} must be a type such as 'float', or a map such as "
                "{type: float, default: 0.1}",
            )
            return Parameter(name, ParameterType.STRING, None, entry.mark)


def _full_parameter(name: str, fields: Fields, mark: Mark) -> Parameter:
    kind = ParameterType.STRING
    if (written := fields.name("type")) is not None:
        kind = _type(written.text, written.mark, fields.what, fields.problems)
    default = fields.entry("default")
    parameter = Parameter(
        name,
        kind,
        # As MLflow: str() of whatever YAML makes of it, lists too.
        None if default is None else str(plain(default.node)),
        mark,
        minimum=fields.number("min"),
        maximum=fields.number("max"),
        is_checked=fields.flag("check", default=True),
    )
    fields.end(unknown_is_error=False)
    _check_limits(parameter, fields)
    if default is not None and parameter.default is not None:
        problem = mismatch(parameter, parameter.default)
        if problem:
            fields.problems.add(
                default.node.mark,
                f"default '{parameter.default}' of {fields.what} {problem}"
                " (check: false turns this check off)",
            )
    return parameter


def _check_limits(parameter: Parameter, fields: Fields) -> None:
    low, high = parameter.minimum, parameter.maximum
    if parameter.type not in {ParameterType.INT, ParameterType.FLOAT}:
        for key in ("min", "max"):
            fields.refuse(key, f"'{key}' of {fields.what} is for int and float, not for text")
    elif low is not None and high is not None and low > high:
        fields.refuse("min", f"'min' of {fields.what} is greater than its 'max'")


def _type(text: str, mark: Mark, what: str, problems: Problems) -> ParameterType:
    if text in _TYPES:
        return _TYPES[text]
    hint = did_you_mean(text, _TYPES) or f" Types are {one_of(ParameterType)}."
    problems.warn(mark, f"{what} has the unknown type '{text}', taken as string.{hint}")
    return ParameterType.STRING
