"""The `parameters` of an entry point: MLflow's two forms, with checks that MLflow leaves out."""

from __future__ import annotations

import importlib

from flowrun.spec.fields import Fields, one_of
from flowrun.spec.problems import Problems, did_you_mean
from flowrun.spec.project import Mark, Parameter, ParameterType
from flowrun.spec.values import PARAMETER_NAME, is_text, mismatch, text_of
from flowrun.spec.yaml_nodes import Entry, ListNode, MapNode, Node, ScalarNode, plain

MAX_PATTERN_LENGTH = 1000

_TYPES = {**{each.value: each for each in ParameterType}, "str": ParameterType.STRING}
_NUMBERS = frozenset({ParameterType.INT, ParameterType.FLOAT})


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
            kind = _type(text, entry.node.mark, what, problems)
            if kind is ParameterType.ENUM:
                problems.add(entry.node.mark, f"{what} is an enum; it needs 'values', a list")
                kind = ParameterType.STRING
            return Parameter(name, kind, None, entry.mark)
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
    choices = _choices(kind, fields)
    if kind is ParameterType.ENUM and not choices:
        kind = ParameterType.STRING  # told already; nothing else is to be said against it
    parameter = Parameter(
        name,
        kind,
        None if default is None else _default_text(default.node, kind),
        mark,
        minimum=fields.number("min"),
        maximum=fields.number("max"),
        is_checked=fields.flag("check", default=True),
        choices=choices,
        pattern=_pattern(fields),
        flag=fields.text("flag"),
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


def _default_text(node: Node, kind: ParameterType) -> str:
    if kind is ParameterType.ENUM and isinstance(node, ScalarNode):
        return node.text  # `on` is one of `values`, as it is written there
    # As MLflow: str() of whatever YAML makes of it.
    return text_of(plain(node), kind)


def _choices(kind: ParameterType, fields: Fields) -> tuple[str, ...]:
    """Return what an enum may be, as it is written."""
    if kind is not ParameterType.ENUM:
        fields.refuse("values", f"'values' of {fields.what} is for an enum, not for {kind}")
        return ()
    entry = fields.entry("values")
    if entry is None or not isinstance(entry.node, ListNode) or not entry.node.items:
        mark = entry.node.mark if entry else fields.node.mark
        fields.problems.add(mark, f"{fields.what} is an enum; it needs 'values', a list")
        return ()
    return tuple(name.text for name in fields.names("values"))


def _pattern(fields: Fields) -> str | None:
    pattern = fields.name("pattern")
    if pattern is None:
        return None
    if len(pattern.text) > MAX_PATTERN_LENGTH:
        problem = f"it is longer than {MAX_PATTERN_LENGTH:,} characters"
    else:
        regexes = importlib.import_module("flowrun.safe_regex")  # few files have one
        try:
            regexes.read_regex(pattern.text)
        except regexes.RegexError as error:
            problem = str(error)
        else:
            return pattern.text
    fields.problems.add(pattern.mark, f"'pattern' of {fields.what} can't be used: {problem}")
    return None


def _check_limits(parameter: Parameter, fields: Fields) -> None:
    low, high = parameter.minimum, parameter.maximum
    if parameter.type not in _NUMBERS:
        for key in ("min", "max"):
            fields.refuse(key, f"'{key}' of {fields.what} is for int and float, not for text")
    elif low is not None and high is not None and low > high:
        fields.refuse("min", f"'min' of {fields.what} is greater than its 'max'")
    if not is_text(parameter):
        fields.refuse("pattern", f"'pattern' of {fields.what} is for string, path and uri")
    if parameter.type is not ParameterType.BOOL:
        fields.refuse("flag", f"'flag' of {fields.what} is for a bool")


def _type(text: str, mark: Mark, what: str, problems: Problems) -> ParameterType:
    if text in _TYPES:
        return _TYPES[text]
    hint = did_you_mean(text, _TYPES) or f" Types are {one_of(ParameterType)}."
    problems.warn(mark, f"{what} has the unknown type '{text}', taken as string.{hint}")
    return ParameterType.STRING
