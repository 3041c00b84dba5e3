"""What the names in expressions mean: `params`, `steps`, `matrix`, `env`, `champion`.

Plain paths are looked up here; everything else goes to Jinja2's sandbox, which is imported only
then. Both see the same names, as lazy maps, so that nothing is looked up that is not asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import field

from flowrun.errors import PlanError
from flowrun.plan.plan import Gate, Scope
from flowrun.spec.expressions import (
    MAX_MADE,
    Code,
    ExpressionSyntaxError,
    ExpressionValueError,
    condition_code,
    has_expression,
    missing_text,
    names_in,
    parts_of,
    path_of,
    status_function_of,
    value_of,
)
from flowrun.spec.project import Parameter, Value
from flowrun.spec.values import JSON_TYPES, is_text, meaning, mismatch
from flowrun.valueclass import valueclass

Champion = Callable[[], Mapping[str, object] | None]
"""Gives the model version that a promote step would replace; asked only if it is mentioned."""


@valueclass
class StepResult:
    """What came of a step; `status` is succeeded, failed, skipped or killed."""

    id: str
    status: str
    outputs: Mapping[str, object] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, object] = field(default_factory=dict)
    run_id: str | None = None
    instances: tuple[StepResult, ...] | None = None
    """Of all instances of a `foreach`, in the order of the items."""


class ExpressionError(PlanError):
    """An expression can't be evaluated, now or ever."""


class NotEndedError(ExpressionError):
    """The expression asks about a step that has not ended yet."""


def text_of(value: object) -> str:
    """Return a single value as text, as Python's `str` writes it.

    Raises:
        ExpressionError: it is none, a list or a map.
    """
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool | int | float):
        return str(value)
    kind = "nothing" if value is None else "a map" if isinstance(value, Mapping) else "a list"
    raise ExpressionError(f"a single value is wanted, but this is {kind}")


class _Table(Mapping[str, object]):
    """A map whose values are looked up when they are asked for."""

    __slots__ = ("_look_up", "_names", "story")

    def __init__(
        self, story: str, names: Collection[str], look_up: Callable[[str], object]
    ) -> None:
        self.story = story
        """Begins the message about a missing name: `step 'train' has no metric`."""
        # Not copied: a scope may have thousands of steps, and each of them looks at it.
        self._names = names
        self._look_up = look_up

    def __getitem__(self, name: str) -> object:
        if name not in self._names:
            raise KeyError(name)
        return self._look_up(name)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@valueclass
class ScopeNames:
    """The names of one scope, with what they mean now."""

    scope: Scope
    matrix: Mapping[str, Value]
    results: Mapping[str, StepResult]
    env: Mapping[str, str] | None
    """None before anything runs."""
    champion: Champion | None
    gate: Gate | None = None

    def value(self, value: Value) -> object:
        """Return what a value comes to: one expression keeps its type, in text it is text."""
        raw = value.raw
        if value.is_literal or not isinstance(raw, str) or not has_expression(raw):
            return raw
        try:
            parts = parts_of(raw)
        except ExpressionSyntaxError as error:
            raise ExpressionError(str(error)) from error
        if len(parts) == 1 and isinstance(parts[0], Code):
            return self._one(parts[0])
        texts = [part if isinstance(part, str) else text_of(self._one(part)) for part in parts]
        if sum(map(len, texts)) > MAX_MADE:
            raise ExpressionError(f"this comes to more than {MAX_MADE:,} characters")
        return "".join(texts)

    def condition(self, value: Value) -> object:
        """Return what an `if` comes to."""
        return self._one(condition_code(value.raw)) if isinstance(value.raw, str) else value.raw

    def explained(self, value: Value) -> str:
        """Return an `if` as written, with what its names mean: `a.b < 2 (a.b = 3)`."""
        if not isinstance(value.raw, str):
            return str(value.raw)
        code = condition_code(value.raw)
        known = dict.fromkeys(filter(None, map(self._meaning, names_in(code).paths)))
        return f"{code.text} ({', '.join(known)})" if known else code.text

    def _meaning(self, path: tuple[str, ...]) -> str | None:
        """Return what a path means; None where that is no single value, or not to be shown."""
        if path[0] == "env":
            return None
        try:
            found = self.at(path)
            text = f"{found:.6g}" if isinstance(found, float) else text_of(found)
        except (ExpressionError, ExpressionValueError):
            return None
        return meaning_text(path, text)

    def success(self) -> bool:
        """Return whether each step that the gate needs has succeeded, or was allowed to fail."""
        gate = self.gate
        return gate is None or all(self._is_fine(step_id, gate) for step_id in gate.needs)

    def failure(self) -> bool:
        """Return whether a step that the gate watches has failed."""
        watched = self.gate.watched if self.gate else ()
        return any(self._result(step_id).status in {"failed", "killed"} for step_id in watched)

    def _is_fine(self, step_id: str, gate: Gate) -> bool:
        status = self._result(step_id).status
        return status == "succeeded" or (status == "failed" and step_id in gate.tolerated)

    def _one(self, code: Code) -> object:
        path = path_of(code)
        function = status_function_of(code)
        try:
            if path is not None:
                found = self.at(path)
            elif function is not None:
                found = self._functions()[function]()
            else:
                used = names_in(code)
                roots = {name: self._root(name) for name in {path[0] for path in used.paths}}
                found = value_of(code, {**roots, **self._functions()})
        except (ExpressionSyntaxError, ExpressionValueError) as error:
            raise ExpressionError(f"${{{{ {code.text} }}}}: {error}") from error
        if isinstance(found, _Table):
            raise ExpressionError(f"${{{{ {code.text} }}}} is a map; name one of its values")
        return found

    def _functions(self) -> dict[str, Callable[[], bool]]:
        return {"success": self.success, "failure": self.failure, "always": lambda: True}

    def at(self, path: tuple[str, ...]) -> object:
        """Return what a path comes to, a table of more names included.

        Raises:
            ExpressionValueError: there is no such name. ExpressionError: it is not known yet.
        """
        found: object = self._root(path[0])
        for depth, name in enumerate(path[1:], start=1):
            if not isinstance(found, Mapping):
                kind = "none" if found is None else "a single value"
                raise ExpressionValueError(f"{'.'.join(path[:depth])} is {kind}")
            if name not in found:
                raise ExpressionValueError(missing_text(found, name))
            found = found[name]
        return found

    def _root(self, name: str) -> object:
        match name:
            case "params":
                return _Table("the pipeline has no parameter", self.scope.params, self._param)
            case "matrix":
                return _Table("the matrix has no axis", self.matrix, self._axis)
            case "steps":
                return _Table("there is no step", self.scope.steps, self._step)
            case "item":
                return self._item()
            case "champion":
                return self.champion() if self.champion else None
            case _:
                if self.env is None:
                    raise NotEndedError("the environment is known only when the step runs")
                return _Table("there is no environment variable", self.env, self.env.__getitem__)

    def _axis(self, name: str) -> object:
        return self.value(self.matrix[name])

    def _item(self) -> object:
        if (item := self.matrix.get("item")) is None:
            raise NotEndedError("the items of its foreach are not known yet")
        return item.raw

    def _param(self, name: str) -> object:
        scope = self.scope
        outer = scope.outer or scope
        value = ScopeNames(outer, scope.matrix, self.results, self.env, self.champion).value(
            scope.params[name]
        )
        parameter = scope.parameters.get(name)
        return value if parameter is None else _as_declared(parameter, value)

    def _step(self, name: str) -> object:
        step_ids = self.scope.steps[name]
        if not isinstance(step_ids, str):
            results = [self._result(step_id) for step_id in step_ids]
        else:
            result = self._result(step_ids)
            if result.instances is None:
                return _result_table(result)
            results = list(result.instances)
        tables = [_result_table(each) for each in results]
        return _Table(
            f"step '{name}' has no",
            ["outputs", "metrics", "params", "run_id", "status"],
            lambda key: _listed(name, key, [table[key] for table in tables]),
        )

    def _result(self, step_id: str) -> StepResult:
        result = self.results.get(step_id)
        if result is None:
            raise NotEndedError(f"step '{step_id}' has not ended yet")
        return result


class _Nothing(Mapping[str, object]):
    """A field of no instances at all: any name is an empty list."""

    def __getitem__(self, name: str) -> object:
        return []

    def __contains__(self, name: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def _result_table(result: StepResult) -> _Table:
    fields: dict[str, object] = {"run_id": result.run_id, "status": str(result.status)}
    for kind, values in (
        ("output", result.outputs),
        ("metric", result.metrics),
        ("param", result.params),
    ):
        how = "" if result.status == "succeeded" else f" {result.status} and"
        fields[f"{kind}s"] = _Table(
            f"step '{result.id}'{how} has no {kind}", values, values.__getitem__
        )
    return _Table(f"step '{result.id}' has no", fields, fields.__getitem__)


def _listed(step: str, key: str, each: list[object]) -> object:
    """Return a field of all instances of a matrix step: lists, in matrix order, without gaps."""
    if key in {"run_id", "status"}:
        return each
    if not each:
        return _Nothing()  # whatever its instances would have had: there is none
    tables = [table for table in each if isinstance(table, _Table)]
    names = [*dict.fromkeys(name for table in tables for name in table)]
    return _Table(
        f"no instance of step '{step}' has the {key.removesuffix('s')}",
        names,
        lambda name: [table[name] for table in tables if name in table],
    )


def _as_declared(parameter: Parameter, value: object) -> object:
    """Return a parameter's value in its declared type; what a step gave out stays what it is."""
    if isinstance(value, str) and is_text(parameter) and parameter.pattern is None:
        return value
    if isinstance(value, list | tuple | Mapping) and parameter.type in JSON_TYPES:
        text = json.dumps(value)
    else:
        text = text_of(value)
    problem = mismatch(parameter, text)
    if problem:
        raise ExpressionError(f"'{text}' for parameter '{parameter.name}' {problem}")
    return value if is_text(parameter) else meaning(parameter, text)


def meaning_text(path: Sequence[str], text: str) -> str:
    """Return in words what a name means."""
    name = ".".join(path)
    return f"{name} = {text}" if text else f"{name} is empty"
