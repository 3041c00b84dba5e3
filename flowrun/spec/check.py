"""Checks what the names in a project refer to: steps, entry points, parameters, outputs.

Everything that can be known from one file is said here, before anything is planned. What is in
other projects is checked when the plan has loaded them.
"""

from __future__ import annotations

import graphlib
from collections.abc import Iterable, Mapping

from flowrun.spec.check_references import PipelineNames, check_value
from flowrun.spec.expressions import ExpressionSyntaxError, has_expression
from flowrun.spec.problems import Problems, did_you_mean, listed
from flowrun.spec.project import (
    ONE_ATTEMPT,
    EntryPoint,
    EntryPointCall,
    Mark,
    Project,
    Promote,
    Select,
    StepSpec,
    Value,
)
from flowrun.spec.references import Use, steps_before, values_of
from flowrun.spec.values import PARAMETER_NAME, mismatch

SCRIPT_SUFFIXES = (".py", ".sh", ".R")
"""An entry point that the file does not name may be a script file, as in MLflow."""

STAGES = ("None", "Staging", "Production", "Archived")


def check_project(project: Project, problems: Problems) -> None:
    """Note every name of the project that means nothing, and every circle."""
    for entry_point in project.entry_points.values():
        if entry_point.steps:
            _check_pipeline(project, entry_point, problems)
    _check_calls_end(project, problems)


def _check_pipeline(project: Project, pipeline: EntryPoint, problems: Problems) -> None:
    names = PipelineNames(project, pipeline)
    for step in pipeline.steps.values():
        _check_step(project, pipeline, step, problems)
        for value, use in values_of(step):
            check_value(value, use, step, names, problems)
    for value in pipeline.results.values():
        check_value(value, Use.RESULT, None, names, problems)
    _check_no_circle(pipeline, problems)


def _check_step(project: Project, pipeline: EntryPoint, step: StepSpec, problems: Problems) -> None:
    for need in step.needs:
        if need.text == step.name:
            problems.add(need.mark, f"step '{step.name}' needs itself")
        elif need.text not in pipeline.steps:
            problems.add(
                need.mark,
                f"step '{step.name}' needs '{need}', which is no step of '{pipeline.name}'."
                + did_you_mean(need.text, pipeline.steps),
            )
    match step.action:
        case EntryPointCall(entry_point=name):
            called = project.entry_points.get(name.text)
            if called is not None:
                check_call(step, called, problems)
            elif not name.text.endswith(SCRIPT_SUFFIXES):
                problems.add(name.mark, _no_entry_point(step, name.text, project))
        case Select():
            _check_select(step, step.action, pipeline, project, problems)
        case Promote(stage=Value(raw=str(stage), mark=mark)) if not has_expression(stage):
            if stage not in STAGES:
                problems.add(
                    mark,
                    f"'{stage}' is no stage (there are {', '.join(STAGES)})."
                    + did_you_mean(stage.title(), STAGES),
                )
        case _:
            pass


def _no_entry_point(step: StepSpec, name: str, project: Project) -> str:
    known = project.entry_points
    if name == step.name:
        return (
            f"step '{name}' says nothing to do, and there is no entry point '{name}' it could call."
            + (did_you_mean(name, known) or " Give it 'run' or 'entry_point'.")
        )
    hint = did_you_mean(name, known) or f" There are: {listed(known)}."
    return f"step '{step.name}' calls '{name}', which is no entry point of this project.{hint}"


def check_call(step: StepSpec, called: EntryPoint, problems: Problems) -> None:
    """Note what is wrong with the arguments that a step gives to an entry point."""
    for name, value in step.arguments.items():
        parameter = called.parameters.get(name)
        if parameter is not None:
            is_known = value.raw is not None and not has_expression(value.raw)
            if is_known and (problem := mismatch(parameter, str(value.raw))):
                text = f"'{value.raw}' for '{name}' of step '{step.name}' {problem}"
                problems.add(value.mark, text)
        elif called.steps:
            problems.add(value.key or value.mark, _no_parameter(step, name, called))
        else:
            _check_extra(step, name, value, problems)
    missing = [
        f"'{parameter.name}'"
        for parameter in called.parameters.values()
        if parameter.default is None and parameter.name not in step.arguments
    ]
    if missing:
        problems.add(
            step.mark,
            f"step '{step.name}' gives no {' and no '.join(missing)} in its 'with', "
            f"which entry point '{called.name}' requires",
        )
    if called.steps:
        _check_pipeline_call(step, called, problems)


def _no_parameter(step: StepSpec, name: str, called: EntryPoint) -> str:
    hint = (
        did_you_mean(name, called.parameters) or f" It has: {listed(called.parameters) or 'none'}."
    )
    return (
        f"step '{step.name}' gives '{name}' to pipeline '{called.name}', "
        f"which has no such parameter.{hint}"
    )


def _check_extra(step: StepSpec, name: str, value: Value, problems: Problems) -> None:
    """An argument that a command does not declare is appended to it as `--name value`."""
    if not PARAMETER_NAME.fullmatch(name):
        problems.add(
            value.key or value.mark,
            f"'{name}' in 'with' of step '{step.name}' can't become an option: "
            "letters, digits and _ - . : / only",
        )


def _check_pipeline_call(step: StepSpec, called: EntryPoint, problems: Problems) -> None:
    given: Mapping[str, object] = {
        "resources": step.resources,
        "retries, backoff, retry_on or timeout": step.attempts != ONE_ATTEMPT,
        "outputs": step.outputs,
        "metrics": step.metrics or step.metric_tolerance,
        "env": step.variables,
        "secrets": step.secrets,
        "cache": step.cache,
        "concurrency": step.concurrency,
        "sources": step.sources,
        "python_env, conda_env or docker_env": step.env,
    }
    for key, value in given.items():
        if value:
            problems.add(
                step.mark,
                f"step '{step.name}' calls pipeline '{called.name}', which runs no command "
                f"itself; set {key} on the steps of '{called.name}'",
            )


def _check_select(
    step: StepSpec, select: Select, pipeline: EntryPoint, project: Project, problems: Problems
) -> None:
    candidate = pipeline.steps.get(select.step.text)
    if candidate is None:
        problems.add(
            select.step.mark,
            f"step '{step.name}' selects from '{select.step}', which is no step of "
            f"'{pipeline.name}'.{did_you_mean(select.step.text, pipeline.steps)}",
        )
    elif not candidate.fan:
        problems.add(
            select.step.mark,
            f"step '{step.name}' selects from '{select.step}', which has no matrix and no foreach "
            "to select from",
        )
    elif isinstance(candidate.action, EntryPointCall):
        called = project.entry_points.get(candidate.action.entry_point.text)
        if called is not None and called.steps:
            problems.add(
                select.step.mark,
                f"step '{step.name}' selects from '{select.step}', whose instances are pipelines "
                "and have no metrics of their own",
            )


def _check_no_circle(pipeline: EntryPoint, problems: Problems) -> None:
    before = {}
    for step in pipeline.steps.values():
        try:
            needed = steps_before(step)
        except ExpressionSyntaxError:
            needed = ()
        before[step.name] = [
            name for name in needed if name in pipeline.steps and name != step.name
        ]
    circle = _circle(before)
    if circle:
        first = min(circle, key=lambda name: pipeline.steps[name].mark.line)
        start = circle.index(first)
        turned = [*circle[start:-1], *circle[:start], first]
        problems.add(
            pipeline.steps[first].mark, f"steps wait for each other: {' -> '.join(turned)}"
        )


def _check_calls_end(project: Project, problems: Problems) -> None:
    """Note entry points that call each other in a circle: their plan would have no end."""
    calls: dict[str, dict[str, Mark]] = {
        entry_point.name: {
            step.action.entry_point.text: step.mark
            for step in entry_point.steps.values()
            if isinstance(step.action, EntryPointCall)
            and step.action.entry_point.text in project.entry_points
        }
        for entry_point in project.entry_points.values()
    }
    # graphlib tells of circles against the direction of its arrows.
    circle = _circle(calls)
    if circle:
        circle.reverse()
        first = min(circle, key=lambda name: project.entry_points[name].mark.line)
        start = circle.index(first)
        turned = [*circle[start:-1], *circle[:start], first]
        mark = calls[turned[-2]][first]
        problems.add(mark, f"entry points call each other without end: {' -> '.join(turned)}")


def _circle(before: Mapping[str, Iterable[str]]) -> list[str]:
    """Return one circle, its first name again at the end, or nothing if there is none."""
    try:
        graphlib.TopologicalSorter(before).prepare()
    except graphlib.CycleError as error:
        circle: list[str] = error.args[1]
        return circle
    return []
