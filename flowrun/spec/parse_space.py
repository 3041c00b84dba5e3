"""The search space of a sweep: as words (`lr=1e-4..1e-1:log`), or as a YAML or JSON file."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from flowrun.errors import UsageError
from flowrun.spec.fields import Fields
from flowrun.spec.problems import Problems
from flowrun.spec.project import Mark, Parameter, ParameterType
from flowrun.spec.values import mismatch
from flowrun.spec.yaml_nodes import Entry, ListNode, MapNode, ScalarNode, read_yaml
from flowrun.valueclass import valueclass

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})(?::(?:(log)|({_NUMBER})))?")


@valueclass
class Choice:
    """A parameter that has one of some values, as texts."""

    texts: tuple[str, ...]


@valueclass
class Range:
    """A parameter that has a number from `low` to `high`, both included."""

    low: float
    high: float
    is_int: bool = False
    is_log: bool = False
    """As likely between 0.001 and 0.01 as between 0.01 and 0.1."""
    step: float | None = None


Dimension = Choice | Range
Space = Mapping[str, Dimension]


def dimension_of_words(name: str, text: str) -> Dimension:
    """Return what `NAME=0.1,0.2`, `NAME=1..10`, `NAME=0..100:10` or `NAME=1e-4..1:log` means.

    Raises:
        UsageError: it means nothing.
    """
    found = _RANGE.fullmatch(text)
    if found is None:
        texts = tuple(each.strip() for each in text.split(","))
        if not all(texts) or len(set(texts)) < len(texts):
            raise UsageError(
                f"-S {name}={text}: a value is empty, or there twice; give values with commas "
                "between, or a range such as 1..10, 0..100:10 or 1e-4..1e-1:log"
            )
        return Choice(texts)
    low, high, is_log, step = found[1], found[2], bool(found[3]), found[4]
    is_int = all(_is_int(each) for each in (low, high, step or "0"))
    made = Range(float(low), float(high), is_int, is_log, float(step) if step else None)
    problem = _range_problem(made)
    if problem:
        raise UsageError(f"-S {name}={text}: {problem}")
    return made


def parse_space(text: str, file: str) -> tuple[Space, Mapping[str, Mark]]:
    """Return the search space that a file describes, and where each parameter stands.

    Raises:
        SpecError: all that is wrong with it.
    """
    problems = Problems()
    root = read_yaml(text, file, problems)
    space: dict[str, Dimension] = {}
    marks: dict[str, Mark] = {}
    if isinstance(root, MapNode) and root.entries:
        for name, entry in root.entries.items():
            marks[name] = entry.mark
            dimension = _dimension(name, entry, problems)
            if dimension is not None:
                space[name] = dimension
    else:
        mark = root.mark if root is not None else Mark(file, 1, 1)
        problems.add(mark, "a search space is a map of parameters to lists, or to low and high")
    problems.raise_if_any()
    return space, marks


def fitted(
    space: Space, parameters: Mapping[str, Parameter], marks: Mapping[str, Mark]
) -> tuple[Space, list[str]]:
    """Return a space with the types that its parameters declare, and what does not fit them.

    Args:
        space: as it was written.
        parameters: of the entry point; others have the type that their numbers are written in.
        marks: where those stand that come from a file.
    """
    problems: list[str] = []
    made: dict[str, Dimension] = {}
    for name, dimension in space.items():
        parameter = parameters.get(name)
        place = f"{marks[name]}: {name}" if name in marks else f"-S {name}"
        made[name] = dimension
        if parameter is None:
            continue
        match dimension:
            case Choice(texts):
                found = [(text, mismatch(parameter, text)) for text in texts]
                problems += [f"{place}: '{text}' {problem}" for text, problem in found if problem]
            case Range():
                fit = _fitted_range(dimension, parameter)
                if isinstance(fit, str):
                    problems.append(f"{place}: {fit}")
                else:
                    made[name] = fit
    return made, problems


def text_of_number(value: float, *, is_int: bool) -> str:
    """Return a number as the text of a parameter."""
    return str(int(value)) if is_int else repr(float(value))


def _fitted_range(dimension: Range, parameter: Parameter) -> Range | str:
    is_int = parameter.type is ParameterType.INT or (
        parameter.type is not ParameterType.FLOAT and dimension.is_int
    )
    numbers = (dimension.low, dimension.high, dimension.step or 0)
    if is_int and any(number != int(number) for number in numbers):
        return "an int has a range of whole numbers"
    if parameter.type in {ParameterType.BOOL, ParameterType.ENUM, ParameterType.LIST}:
        return f"a range is for numbers, and it is declared as {parameter.type}"
    for number in (dimension.low, dimension.high):
        text = text_of_number(number, is_int=is_int)
        if problem := mismatch(parameter, text):
            return f"'{text}' {problem}"
    return Range(dimension.low, dimension.high, is_int, dimension.is_log, dimension.step)


def _dimension(name: str, entry: Entry, problems: Problems) -> Dimension | None:
    match entry.node:
        case ListNode(items=items) if items and all(isinstance(i, ScalarNode) for i in items):
            texts = tuple(item.text for item in items if isinstance(item, ScalarNode))
            if len(set(texts)) == len(texts):
                return Choice(texts)
            problems.add(entry.node.mark, f"'{name}' lists a value twice")
        case MapNode() as node:
            return _range(name, node, problems)
        case node:
            told = f"'{name}' must be a list of single values, or a map such as"
            problems.add(node.mark, f"{told} {{low: 1e-4, high: 0.1, log: true}}")
    return None


def _range(name: str, node: MapNode, problems: Problems) -> Range | None:
    fields = Fields(node, f"'{name}'", problems)
    numbers = {key: _number(fields, key) for key in ("low", "high", "step")}
    is_log = fields.flag("log", default=False)
    fields.end(unknown_is_error=True)
    low, high, step = (numbers[key] for key in ("low", "high", "step"))
    if low is None or high is None:
        if not (fields.has("low") and fields.has("high")):
            problems.add(node.mark, f"'{name}' needs 'low' and 'high'")
        return None
    is_int = all(_is_int(fields.text(key) or "0") for key in numbers)
    made = Range(low, high, is_int, is_log, step)
    if problem := _range_problem(made):
        problems.add(node.mark, f"'{name}': {problem}")
        return None
    return made


def _number(fields: Fields, key: str) -> float | None:
    """Return a number, also one that YAML 1.1 takes for text: 1e-4."""
    name = fields.name(key)
    if name is None:
        return None
    if re.fullmatch(_NUMBER, name.text):
        return float(name.text)
    fields.problems.add(name.mark, f"'{key}' of {fields.what} must be a number")
    return None


def _is_int(text: str) -> bool:
    return re.fullmatch(r"[-+]?\d+", text) is not None


def _range_problem(made: Range) -> str | None:
    if not all(math.isfinite(each) for each in (made.low, made.high)):
        return "its ends are too large"
    if made.low >= made.high:
        return "the low end of a range must be less than its high end"
    if made.is_log and made.low <= 0:
        return "a range by logarithm begins above 0"
    if made.is_log and made.step is not None:
        return "a range has a step, or goes by logarithm"
    if made.step is not None and made.step <= 0:
        return "the step of a range must be more than 0"
    return None
