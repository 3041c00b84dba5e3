"""Text of an MLproject file to a Project: every mistake at once, each with line and column.

What MLflow accepts keeps its meaning; what it ignores in silence becomes a warning. Inside `steps`,
which is flowrun's own grammar, an unknown key is a mistake.
"""

from __future__ import annotations

from flowrun.spec.check import check_project
from flowrun.spec.expressions import has_expression
from flowrun.spec.fields import Fields
from flowrun.spec.parse_attempts import ATTEMPT_KEYS, parse_attempts
from flowrun.spec.parse_cache import parse_cache, parse_sources
from flowrun.spec.parse_command import check_command
from flowrun.spec.parse_parameters import parse_parameters
from flowrun.spec.parse_steps import parse_steps
from flowrun.spec.parse_surroundings import (
    check_executor,
    parse_env,
    parse_outputs,
    parse_resources,
)
from flowrun.spec.parse_tolerances import parse_metrics
from flowrun.spec.problems import Problems
from flowrun.spec.project import EntryPoint, EnvKind, EnvSpec, Project
from flowrun.spec.yaml_nodes import Entry, MapNode, ScalarNode, read_yaml

IMPLIED_ENV = EnvSpec(EnvKind.IMPLIED)


def parse_project(text: str, file: str = "MLproject", *, strict: bool = False) -> Project:
    """Return the project that the text of an MLproject file describes.

    Args:
        file: its name in messages.
        strict: what is only a warning otherwise (unknown keys and types) is a mistake.

    Raises:
        SpecError: all mistakes, in the order of the file.
    """
    problems = Problems(strict=strict)
    root = read_yaml(text, file, problems)
    project = Project(None, {}, IMPLIED_ENV, file)
    if isinstance(root, MapNode):
        project = _project(Fields(root, "the project", problems), file)
        check_project(project, problems)
    elif root is not None and not (isinstance(root, ScalarNode) and root.value is None):
        problems.add(root.mark, "a project file is a map of keys such as 'entry_points'")
    problems.raise_if_any()
    return Project(project.name, project.entry_points, project.env, project.file, problems.warnings)


def _project(fields: Fields, file: str) -> Project:
    name = fields.text("name")
    env = parse_env(fields)
    fields.refuse(
        "databricks_spark_job",
        "'databricks_spark_job' runs on Databricks alone, which flowrun does not do; "
        "give the project an entry point with a command",
    )
    entry_points = {
        name: _entry_point(name, entry, fields.problems)
        for name, entry in fields.map("entry_points").items()
    }
    check_executor(fields)
    fields.end(unknown_is_error=False)
    return Project(name, entry_points, env or IMPLIED_ENV, file)


def _entry_point(name: str, entry: Entry, problems: Problems) -> EntryPoint:
    what = f"entry point '{name}'"
    if not name or not name.isprintable():
        problems.add(entry.mark, f"'{name}' can't name an entry point: it can't be printed")
    if not isinstance(entry.node, MapNode):
        problems.add(entry.node.mark, f"{what} must be a map with a 'command' or 'steps'")
        # A stand-in, so that what refers to it is not reported as well.
        return EntryPoint(name, entry.mark, command="")
    fields = Fields(entry.node, what, problems)
    if fields.has("steps"):
        return _pipeline(name, entry, fields)
    return _command(name, entry, fields)


def _command(name: str, entry: Entry, fields: Fields) -> EntryPoint:
    parameters = parse_parameters(fields)
    command = fields.name("command")
    if command is None:
        if not fields.entry("command"):
            fields.problems.add(entry.mark, f"{fields.what} has neither 'command' nor 'steps'")
    else:
        check_command(
            command,
            f"'command' of {fields.what}",
            parameters,
            "which is no parameter",
            fields.problems,
        )
    outputs, metrics = parse_outputs(fields), parse_metrics(fields)
    entry_point = EntryPoint(
        name,
        entry.mark,
        parameters,
        command=command.text if command else "",
        outputs=outputs,
        metrics=metrics.path,
        metric_tolerance=metrics.tolerance,
        env=parse_env(fields),
        resources=parse_resources(fields),
        variables=fields.variables("env"),
        secrets=fields.variable_names("secrets"),
        cache=parse_cache(fields),
        sources=parse_sources(fields),
        attempts=parse_attempts(fields),
    )
    _finish(fields)
    return entry_point


def _pipeline(name: str, entry: Entry, fields: Fields) -> EntryPoint:
    fields.refuse("command", f"{fields.what} has both 'steps' and 'command'; keep one of them")
    for key in ("metrics", "cache", "sources", *ATTEMPT_KEYS):
        fields.refuse(key, f"{fields.what} is a pipeline; '{key}' belongs on its steps")
    entry_point = EntryPoint(
        name,
        entry.mark,
        parse_parameters(fields),
        steps=parse_steps(fields),
        results=fields.values("outputs"),
        env=parse_env(fields),
        resources=parse_resources(fields),
        variables=fields.variables("env"),
        secrets=fields.variable_names("secrets"),
    )
    if not fields.entry("steps"):
        mark = fields.node.entries["steps"].mark
        fields.problems.add(
            mark, f"'steps' of {fields.what} is empty; a pipeline has a step or more"
        )
    _finish(fields)
    return entry_point


def _finish(fields: Fields) -> None:
    check_executor(fields)
    fields.end(unknown_is_error=False)
    for name, entry in fields.map("env").items():
        if isinstance(entry.node, ScalarNode) and has_expression(entry.node.value):
            fields.problems.add(
                entry.node.mark,
                f"'{name}' in 'env' of {fields.what} can't be an expression; "
                "a step's own 'env' can",
            )
