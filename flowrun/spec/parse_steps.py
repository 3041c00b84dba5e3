"""The `steps` of a pipeline: what each does, and with what."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from flowrun.spec.expressions import has_expression
from flowrun.spec.fields import Fields
from flowrun.spec.parse_attempts import ATTEMPT_KEYS, parse_attempts
from flowrun.spec.parse_cache import parse_cache, parse_sources
from flowrun.spec.parse_command import check_command
from flowrun.spec.parse_evaluate import parse_evaluate
from flowrun.spec.parse_fan import parse_fan
from flowrun.spec.parse_surroundings import (
    ENV_KEYS,
    check_executor,
    parse_env,
    parse_outputs,
    parse_resources,
)
from flowrun.spec.parse_tolerances import parse_metrics
from flowrun.spec.problems import Problems, nearest_name
from flowrun.spec.project import (
    EntryPointCall,
    InlineCommand,
    Name,
    ProjectCall,
    Promote,
    Register,
    Select,
    StepAction,
    StepSpec,
)
from flowrun.spec.values import number_of
from flowrun.spec.yaml_nodes import Entry, MapNode, ScalarNode

UNREADABLE = InlineCommand("")
"""Stands for an action that is wrong, so that nothing else is said against its step."""

_NAME = re.compile(r"\w[\w.-]*")
_GROUP = re.compile(r"[\w.-]{1,100}")
_ACTIONS = ("entry_point", "project", "run", "select", "register", "promote", "evaluate")
_FOR_COMMANDS = (
    "with",
    "matrix",
    "foreach",
    "env",
    "secrets",
    "resources",
    "outputs",
    "metrics",
    "cache",
    "sources",
    *ATTEMPT_KEYS,
    *ENV_KEYS,
)
"""Keys that say something about a command, or a pipeline of them."""


def parse_steps(around: Fields) -> dict[str, StepSpec]:
    """Return the steps of a pipeline, in order.

    A step that is wrong is in it all the same, as far as it could be read, so that steps which
    refer to it are not reported as well.
    """
    return {
        name: _step(name, entry, around.problems) for name, entry in around.map("steps").items()
    }


def _step(name: str, entry: Entry, problems: Problems) -> StepSpec:
    what = f"step '{name}'"
    if not _NAME.fullmatch(name):
        problems.add(entry.mark, f"'{name}' can't name a step: letters, digits and _ - . only")
    match entry.node:
        case MapNode() as node:
            pass
        case ScalarNode(value=None):
            node = MapNode(entry.mark)
        case other:
            problems.add(other.mark, f"{what} must be a map of keys such as 'run' and 'with'")
            return StepSpec(name, UNREADABLE, entry.mark)
    fields = Fields(node, what, problems)
    metrics = parse_metrics(fields)
    step = StepSpec(
        name,
        UNREADABLE,
        entry.mark,
        arguments=fields.values("with"),
        needs=fields.names("needs"),
        condition=fields.value("if"),
        fan=parse_fan(fields),
        concurrency=_concurrency(fields),
        resources=parse_resources(fields),
        env=parse_env(fields),
        variables=fields.variables("env"),
        secrets=fields.variable_names("secrets"),
        cache=parse_cache(fields),
        sources=parse_sources(fields),
        outputs=parse_outputs(fields),
        metrics=metrics.path,
        metric_tolerance=metrics.tolerance,
        continue_on_error=fields.flag("continue_on_error", default=False),
        attempts=parse_attempts(fields),
    )
    check_executor(fields)
    # The action last: among the keys that nothing else wanted may be a misspelt one.
    step = replace(step, action=_action(name, entry, fields))
    fields.end(unknown_is_error=True)
    return step


def _action(name: str, entry: Entry, fields: Fields) -> StepAction:
    """Return what the step does; a stand-in when that can't be read."""
    given = [key for key in _ACTIONS if fields.entry(key)]
    if "project" in given and "entry_point" in given:
        given.remove("entry_point")
    if len(given) > 1:
        mark = fields.node.entries[given[1]].mark
        fields.problems.add(
            mark, f"{fields.what} has both '{given[0]}' and '{given[1]}'; a step does one thing"
        )
    if "project" not in given:
        fields.refuse("version", f"'version' of {fields.what} goes with 'project'")
    for key in _ACTIONS:
        if key not in given and fields.has(key) and not fields.entry(key):
            mark = fields.node.entries[key].mark
            fields.problems.add(mark, f"'{key}' of {fields.what} is empty")
            return UNREADABLE
    if given:
        return _READERS[given[0]](fields) or UNREADABLE
    if any(nearest_name(key, _ACTIONS) for key in fields.unknown()):
        return UNREADABLE
    return EntryPointCall(Name(name, entry.mark))


def _entry_point_call(fields: Fields) -> StepAction | None:
    name = fields.name("entry_point")
    return EntryPointCall(name) if name else None


def _project_call(fields: Fields) -> StepAction | None:
    uri = fields.name("project")
    entry_point = fields.text("entry_point")
    version = fields.name("version")
    for name in (uri, version):
        if name and "${{" in name.text:
            fields.problems.add(
                name.mark,
                f"{fields.what} calls a project that must be known before anything runs; "
                "it can't be an expression",
            )
            return None
    if uri is None:
        return None
    return ProjectCall(uri.text, version.text if version else None, entry_point or "main", uri.mark)


def _inline_command(fields: Fields) -> StepAction | None:
    command = fields.name("run")
    if command is None:
        return None
    check_command(
        command,
        f"'run' of {fields.what}",
        fields.map("with"),
        "which its 'with' does not set",
        fields.problems,
    )
    return InlineCommand(command.text)


def _select(around: Fields) -> StepAction | None:
    fields = _only(around, "select")
    if fields is None:
        return None
    step, metric, mode = fields.name("from"), fields.text("metric"), fields.name("mode")
    threshold = fields.value("threshold")
    fields.end(unknown_is_error=True)
    if mode is not None and mode.text not in {"min", "max"}:
        fields.problems.add(mode.mark, f"'mode' of {fields.what} must be min or max")
    if not _has_all(fields, {"from": step, "metric": metric, "mode": mode}):
        return None
    is_known = threshold is not None and not has_expression(threshold.raw)
    if threshold is not None and is_known and number_of(threshold.raw) is None:
        told = f"'threshold' of {fields.what} must be a number, not '{threshold.raw}'"
        fields.problems.add(threshold.mark, told)
    return Select(step, metric, mode.text, threshold) if step and metric and mode else None


def _register(around: Fields) -> StepAction | None:
    fields = _only(around, "register")
    if fields is None:
        return None
    name, model = fields.value("name"), fields.value("model")
    description, alias = fields.value("description"), fields.value("alias")
    tags, dry_run = fields.values("tags"), fields.value("dry_run")
    always = fields.flag("always", default=False)
    fields.end(unknown_is_error=True)
    if not _has_all(fields, {"name": name, "model": model}) or not (name and model):
        return None
    return Register(name, model, description, tags, alias, always, dry_run)


def _promote(around: Fields) -> StepAction | None:
    fields = _only(around, "promote")
    if fields is None:
        return None
    name, version = fields.value("name"), fields.value("version")
    stage, alias = fields.value("to"), fields.value("alias")
    archive = fields.flag("archive_existing", default=True)
    reason, dry_run = fields.value("reason"), fields.value("dry_run")
    approvers = tuple(name.text for name in fields.names("approvers"))
    approval = fields.name("approval")
    key = fields.value("require_signature")
    fields.end(unknown_is_error=True)
    if approval is not None and approval.text != "required":
        told = f"'approval' of {fields.what} must be required, not '{approval.text}'"
        fields.problems.add(approval.mark, told)
    if stage is None and alias is None:
        fields.problems.add(fields.node.mark, f"{fields.what} needs 'to' (a stage) or 'alias'")
        return None
    if not _has_all(fields, {"name": name, "version": version}) or not (name and version):
        return None
    needs_approval = approval is not None or bool(approvers)
    return Promote(
        name, version, stage, alias, archive, reason, needs_approval, approvers, dry_run, key
    )


def _evaluate(around: Fields) -> StepAction | None:
    for key in ("with", "outputs", "metrics"):
        around.refuse(key, f"'{key}' of {around.what} has no meaning beside 'evaluate'")
    fields = around.fields("evaluate", f"'evaluate' of {around.what}")
    return parse_evaluate(fields) if fields else None


_READERS: dict[str, Callable[[Fields], StepAction | None]] = {
    "entry_point": _entry_point_call,
    "project": _project_call,
    "run": _inline_command,
    "select": _select,
    "register": _register,
    "promote": _promote,
    "evaluate": _evaluate,
}


def _only(around: Fields, action: str) -> Fields | None:
    """Return the keys of an action that runs no command, so that nothing about one may be said."""
    for key in _FOR_COMMANDS:
        around.refuse(key, f"'{key}' of {around.what} has no meaning beside '{action}'")
    return around.fields(action, f"'{action}' of {around.what}")


def _has_all(fields: Fields, required: dict[str, object]) -> bool:
    missing = [key for key in required if not fields.has(key)]
    if missing:
        quoted = " and ".join(f"'{key}'" for key in missing)
        fields.problems.add(fields.node.mark, f"{fields.what} needs {quoted}")
    return not missing


def _concurrency(fields: Fields) -> str | None:
    name = fields.name("concurrency")
    if name is None or _GROUP.fullmatch(name.text):
        return name.text if name else None
    told = f"'concurrency' of {fields.what} must be a name of letters, digits and _ - . only"
    fields.problems.add(name.mark, told)
    return None
