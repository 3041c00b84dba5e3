"""Checks what the expressions of a pipeline refer to."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import field

from flowrun.spec.expressions import ExpressionSyntaxError, Names
from flowrun.spec.parse_steps import UNREADABLE
from flowrun.spec.problems import Problems, did_you_mean, hint_of, nearest_name
from flowrun.spec.project import (
    EntryPoint,
    EntryPointCall,
    Evaluate,
    Project,
    ProjectCall,
    Promote,
    Register,
    Select,
    StepSpec,
    Value,
)
from flowrun.spec.references import Use, names_of
from flowrun.valueclass import valueclass

STEP_FIELDS = ("outputs", "metrics", "params", "run_id", "status")
_AXES = frozenset({Use.AXIS, Use.AXIS_LIST})
REGISTER_OUTPUTS = ("name", "version", "model")
"""What a register step gives to others."""
PROMOTE_OUTPUTS = ("name", "version", "stage")
"""What a promote step gives to others."""
EVALUATE_OUTPUTS = ("passed", "verdict", "beats_champion", "champion")
"""What an evaluate step gives to others, beside its metrics."""


@valueclass
class Declared:
    """The names that a field of a step is known to have; more may turn up unless `is_closed`."""

    names: Collection[str] = ()
    is_closed: bool = False


@valueclass
class PipelineNames:
    """What the names in one pipeline's expressions can mean."""

    project: Project
    pipeline: EntryPoint
    elsewhere: Mapping[str, EntryPoint] = field(default_factory=dict)
    """By step: the entry points of other projects that are called, once they are known."""

    def called(self, step: StepSpec) -> EntryPoint | None:
        """Return the entry point that the step calls, if it calls one and it is known."""
        match step.action:
            case EntryPointCall(entry_point=name):
                return self.project.entry_points.get(name.text)
            case ProjectCall():
                return self.elsewhere.get(step.name)
            case _:
                return None

    def declared(self, step: StepSpec, field: str) -> Declared:
        """Return what is known before running of a step's outputs, metrics or params."""
        if isinstance(step.action, Select):
            candidate = self.pipeline.steps.get(step.action.step.text)
            if candidate is None or isinstance(candidate.action, Select):
                return Declared()
            return self.declared(candidate, field)
        match field:
            case "outputs":
                return self._outputs(step)
            case "metrics":
                return Declared(is_closed=not self._logs_metrics(step))
            case _:
                return self._params(step)

    def _outputs(self, step: StepSpec) -> Declared:
        called = self.called(step)
        match step.action:
            case Register():
                return Declared(REGISTER_OUTPUTS, is_closed=True)
            case Promote():
                return Declared(PROMOTE_OUTPUTS, is_closed=True)
            case Evaluate():
                return Declared(EVALUATE_OUTPUTS, is_closed=True)
            case _ if called is None:
                return Declared(step.outputs)
            case _ if called.steps:
                return Declared(called.results, is_closed=True)
            case _:
                return Declared({**called.outputs, **step.outputs})

    def _logs_metrics(self, step: StepSpec) -> bool:
        called = self.called(step)
        return not isinstance(step.action, Register | Promote) and not (called and called.steps)

    def _params(self, step: StepSpec) -> Declared:
        called = self.called(step)
        if isinstance(step.action, Evaluate):
            return Declared([*step.action.arguments, "champion"], is_closed=True)
        if called is None and isinstance(step.action, EntryPointCall | ProjectCall):
            return Declared(step.arguments)
        if called is not None and called.steps:
            return Declared(is_closed=True)
        parameters = called.parameters if called else {}
        return Declared({**parameters, **step.arguments}, is_closed=True)


def check_value(
    value: Value, use: Use, step: StepSpec | None, names: PipelineNames, problems: Problems
) -> None:
    """Note what is wrong with the expressions of one value.

    Args:
        step: whose value it is; None for a result of the pipeline itself.
    """
    try:
        used = names_of(value, use)
    except ExpressionSyntaxError as error:
        hint = _minus_hint(str(value.raw), names.pipeline)
        problems.add(value.mark, f"{_whose(step, names)}: {error}{hint}")
        return
    for each in used:
        for path in each.paths:
            problem = _path_problem(path, use, step, names)
            if problem is None and each.is_path:
                problem = _whole_problem(path, use, names)
            if problem:
                problems.add(value.mark, f"{_whose(step, names)}: {problem}")
    _check_functions(value, use, used, step, names, problems)


def _whose(step: StepSpec | None, names: PipelineNames) -> str:
    return f"step '{step.name}'" if step else f"'outputs' of entry point '{names.pipeline.name}'"


def _check_functions(
    value: Value,
    use: Use,
    used: tuple[Names, ...],
    step: StepSpec | None,
    names: PipelineNames,
    problems: Problems,
) -> None:
    functions = sorted({function for each in used for function in each.functions})
    if functions and use is not Use.CONDITION:
        problems.add(
            value.mark, f"{_whose(step, names)}: {functions[0]}() has a meaning only in an 'if'"
        )


def _path_problem(
    path: tuple[str, ...], use: Use, step: StepSpec | None, names: PipelineNames
) -> str | None:
    match path[0]:
        case "champion":
            may_promote = step is not None and (
                isinstance(step.action, Promote) or step.action is UNREADABLE
            )
            if may_promote and use in {Use.CONDITION, Use.PROMOTION}:
                return None
            return "'champion' has a meaning only in a promote step"
        case root if use in _AXES and root != "params":
            return f"a matrix must be known before anything runs, so it can't use '{root}'"
        case "item" | "matrix" as root if use is Use.ITEMS:
            return f"a foreach can't use '{root}': it comes to the items of its step"
        case "params":
            return _single(path, names.pipeline.parameters, f"pipeline '{names.pipeline.name}'")
        case "matrix":
            known = step.fan.names if step and step.fan else ()
            return _single(path, known, f"the matrix of {_whose(step, names)}")
        case "item":
            if step is None or step.fan is None or step.fan.items is None:
                return "'item' has a meaning only in a step with 'foreach'"
            return "write item.NAME, or item alone" if len(path) > 2 else None
        case "env":
            return None if len(path) == 2 else "write env.NAME"
        case _:
            return _steps_problem(path, step, names)


def _single(path: tuple[str, ...], known: Collection[str], whose: str) -> str | None:
    root = path[0]
    if len(path) == 1:
        return f"write {root}.NAME"
    if path[1] not in known:
        return f"{root}.{path[1]}: {whose} has no '{path[1]}'.{hint_of(path[1], known)}"
    if len(path) > 2:
        return f"{root}.{path[1]} is a single value; it has no '{path[2]}'"
    return None


def _steps_problem(
    path: tuple[str, ...], step: StepSpec | None, names: PipelineNames
) -> str | None:
    steps = names.pipeline.steps
    if len(path) == 1:
        return "write the step's name out: steps.NAME.outputs.NAME"
    if step is not None and path[1] == step.name:
        return f"steps.{path[1]} is the step itself"
    if path[1] not in steps:
        return f"steps.{path[1]}: '{names.pipeline.name}' has no step '{path[1]}'." + did_you_mean(
            path[1], steps
        )
    if len(path) == 2:
        return f"steps.{path[1]} needs one of {', '.join(STEP_FIELDS)} after it"
    if path[2] not in STEP_FIELDS:
        return f"steps.{path[1]}.{path[2]}: a step has {', '.join(STEP_FIELDS)}." + did_you_mean(
            path[2], STEP_FIELDS
        )
    return _field_problem(path, names)


def _minus_hint(text: str, pipeline: EntryPoint) -> str:
    """Return what to write for `steps.a-b`, which takes b from steps.a."""
    for name in pipeline.steps:
        if "-" in name and f"steps.{name}" in text:
            return f" Write steps['{name}']: in an expression '-' is a minus."
    return ""


def _field_problem(path: tuple[str, ...], names: PipelineNames) -> str | None:
    step, field = names.pipeline.steps[path[1]], path[2]
    shown = ".".join(path)
    if field in {"run_id", "status"}:
        return f"{shown}: '{field}' is a single value" if len(path) > 3 else None
    if len(path) == 3:
        return None
    if len(path) > 4:
        return f"{shown}: '{path[3]}' is a single value; it has no '{path[4]}'"
    name, declared = path[3], names.declared(step, field)
    if name in declared.names:
        return None
    kind = field.removesuffix("s")
    if declared.is_closed:
        hint = hint_of(name, declared.names)
        return f"{shown}: step '{path[1]}' has no {kind} '{name}'.{hint}"
    # Anything may be written to $FLOWRUN_OUTPUT, so only what looks like a slip is one.
    nearest = nearest_name(name, declared.names, cutoff=0.8)
    if nearest:
        return f"{shown}: step '{path[1]}' declares no {kind} '{name}'. Did you mean '{nearest}'?"
    return None


def _whole_problem(path: tuple[str, ...], use: Use, names: PipelineNames) -> str | None:
    """Return why the value that the path alone makes is not a single one."""
    if path[0] != "steps" or use is Use.CONDITION:
        return None
    fan = names.pipeline.steps[path[1]].fan
    shown = ".".join(path)
    if len(path) == 3 and path[2] in {"outputs", "metrics", "params"}:
        return f"{shown} is a map; name one of its values"
    if fan is not None and use is not Use.ITEMS:
        kind = "matrix" if fan.items is None else "foreach"
        return (
            f"step '{path[1]}' has a {kind}, so {shown} is a list. Pick one instance with a "
            f"'select' step, or make one value of it: ${{{{ {shown} | join(',') }}}}"
        )
    return None
