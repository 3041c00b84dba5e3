"""A plan as JSON, as text, and as drawings that Mermaid and Graphviz understand."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import assert_never

from flowrun.plan.early import is_open
from flowrun.plan.plan import (
    Action,
    CommandAction,
    FanIn,
    FanOut,
    PipelineEnd,
    Plan,
    PlannedStep,
    SelectAction,
    SubProject,
)
from flowrun.spec.project import Backoff, EnvSpec, Promote, Register, Resources, Value
from flowrun.spec.references import Use, names_of

MAX_INDENT = 120
"""A chain of a thousand steps goes on below itself from here."""

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def plan_to_json(plan: Plan) -> dict[str, Json]:
    """Return the whole plan as JSON values: what `flowrun plan --json` prints and a run keeps.

    Values that depend on other steps appear as they are written. Secrets appear by name only.
    """
    return {
        "project": plan.project_name,
        "entry_point": plan.entry_point,
        "is_pipeline": plan.is_pipeline,
        "params": dict(plan.params),
        "steps": [_step(step) for step in plan.steps],
        "sub_projects": {
            key: {
                "uri": sub.uri,
                "version": sub.version,
                "commit": sub.commit,
                "tree": sub.tree,
            }
            for key, sub in plan.sub_projects.items()
        },
        "warnings": list(plan.warnings),
    }


def plan_to_text(plan: Plan) -> str:
    """Return the same as a text with a line for each step: what a run keeps.

    With indentation throughout, json takes three times as long, and that is seen with 1,000 steps.
    """
    steps = ",\n".join(json.dumps(_step(step)) for step in plan.steps)
    others = json.dumps(plan_to_json(replace(plan, steps=())) | {"steps": None})
    before, after = others.rsplit('"steps": null', 1)
    return f'{before}"steps": [\n{steps}\n]{after}'


def _step(step: PlannedStep) -> dict[str, Json]:
    return {
        "id": step.id,
        "name": step.name,
        "place": str(step.mark) if step.mark else None,
        "project": step.project,
        "caller": step.caller,
        "needs": list(step.needs),
        **_action(step.action),
        "arguments": _values(step.arguments),
        "matrix": _values(step.matrix),
        "conditions": [_raw(value) for value, _ in step.conditions],
        "continue_on_error": step.continue_on_error,
        "env": _env(step.env),
        "variables": _values(step.variables),
        "secrets": list(step.secrets),
        "resources": _resources(step.resources),
        **_attempts(step),
        "outputs": {
            name: {"path": output.path, "type": output.type.value}
            | ({"temp": True} if output.is_temporary else {})
            for name, output in step.outputs.items()
        },
        "metrics": step.metrics,
        "cache": {
            "is_on": step.cache.is_on,
            "expires_s": step.cache.expires_s,
            "scope": step.cache.scope.value,
        },
        "sources": None if step.sources is None else [name.text for name in step.sources],
    }


def _resources(resources: Resources) -> dict[str, Json]:
    taken: dict[str, Json] = {"cpus": resources.cpus, "memory_bytes": resources.memory_bytes}
    if resources.gpus:
        taken["gpus"] = resources.gpus
    if resources.later:
        taken["later"] = [_resources(each) for each in resources.later]
    return taken


def _attempts(step: PlannedStep) -> dict[str, Json]:
    """Give what is said of attempts; of most steps nothing."""
    attempts = step.attempts
    told: dict[str, Json] = {}
    if attempts.retries:
        backoff = attempts.backoff or Backoff()
        told["retries"] = attempts.retries
        told["backoff"] = {
            "first_s": backoff.first_s,
            "growth": backoff.growth,
            "limit_s": backoff.limit_s,
        }
        retry_on = attempts.retry_on
        told["retry_on"] = None if retry_on is None else list[Json](sorted(retry_on))
    if attempts.timeout_s is not None:
        told["timeout_s"] = attempts.timeout_s
    return told


def _action(action: Action) -> dict[str, Json]:
    match action:
        case CommandAction():
            return {
                "kind": "command",
                "entry_point": action.entry_point,
                "command": action.template,
                "defaults": {
                    name: parameter.default
                    for name, parameter in action.parameters.items()
                    if parameter.default is not None
                },
            }
        case SelectAction():
            return {
                "kind": "select",
                "candidates": list(action.candidates),
                "metric": action.metric,
                "mode": action.mode,
                **({"threshold": _raw(action.threshold)} if action.threshold else {}),
            }
        case Register():
            return {
                "kind": "register",
                "model_name": _raw(action.name),
                "model": _raw(action.model),
            }
        case Promote():
            return {
                "kind": "promote",
                "model_name": _raw(action.name),
                "version": _raw(action.version),
                "to": _raw(action.stage),
                "alias": _raw(action.alias),
                **({"approval": "required"} if action.needs_approval else {}),
            }
        case PipelineEnd():
            return {"kind": "pipeline", "results": _values(action.results)}
        case FanOut():
            template: list[Json] = [_step(each) for each in action.template]
            return {
                "kind": "foreach",
                "items": _raw(action.items),
                "end": action.end,
                "template": template,
            }
        case FanIn():
            return {"kind": "collect", "begin": action.begin, "instances": list(action.instances)}
        case _:
            assert_never(action)


def _values(values: Mapping[str, Value]) -> dict[str, Json]:
    return {name: _raw(value) for name, value in values.items()}


def _raw(value: Value | None) -> Json:
    if value is None:
        return None
    return list(value.raw) if isinstance(value.raw, tuple) else value.raw


def _env(env: EnvSpec | None) -> Json:
    if env is None:
        return None
    image = env.docker.image if env.docker else None
    return {"kind": env.kind.value, "path": env.path, "image": image}


def plan_to_lines(plan: Plan, notes: Mapping[str, str] | None = None) -> list[str]:
    """Return the plan as lines of text: each step below the last one it needs.

    A step that needs several stands below the last of them, with the others named.

    Args:
        notes: what else to say of a step, by its id.
    """
    parent = {step.id: step.needs[-1] if step.needs else None for step in plan.steps}
    children: dict[str | None, list[PlannedStep]] = {}
    for step in plan.steps:
        children.setdefault(parent[step.id], []).append(step)
    lines = [f"{plan.project_name or 'project'}: {plan.entry_point}{_params(plan)}"]
    # A stack, since a chain of a thousand steps is a tree a thousand deep.
    open_steps = _with_branches(children.get(None, []), "")
    while open_steps:
        step, branch, prefix = open_steps.pop()
        also = _beside(step, parent) if len(step.needs) > 1 else []
        note = f"  <- {notes[step.id]}" if notes and step.id in notes else ""
        lines.append(f"{prefix}{branch}{step.id}  {_summary(step)}{_also(also)}{note}")
        below = prefix + ("   " if branch == "└─ " else "│  ")
        below = below if len(below) < MAX_INDENT else prefix
        open_steps += _with_branches(children.get(step.id, []), below)
    return lines + [f"uses {_pinned(sub)}" for sub in plan.sub_projects.values()]


def _pinned(sub: SubProject) -> str:
    """Return where another project comes from and what exactly it is."""
    exact = sub.commit or f"tree {sub.tree}"
    return f"{sub.uri} @ {sub.version} = {exact}" if sub.version else f"{sub.uri} @ {exact}"


def _beside(step: PlannedStep, parent: Mapping[str, str | None]) -> list[str]:
    """Return what the step needs beside the steps it stands below."""
    needs = dict.fromkeys(step.needs)
    above = parent[step.id]
    while above is not None:
        needs.pop(above, None)
        above = parent[above]
    return list(needs)


def _with_branches(steps: list[PlannedStep], prefix: str) -> list[tuple[PlannedStep, str, str]]:
    """Return the steps with their branches, the first one last, as a stack wants them."""
    branches = ["├─ "] * (len(steps) - 1) + ["└─ "]
    return [(step, branch, prefix) for step, branch in zip(steps, branches, strict=False)][::-1]


def _params(plan: Plan) -> str:
    shown = ", ".join(f"{name}={value}" for name, value in plan.params.items())
    return f" ({shown})" if shown else ""


def _also(needs: list[str], most: int = 3) -> str:
    if not needs:
        return ""
    more = f" and {len(needs) - most} more" if len(needs) > most else ""
    return f"  (also after {', '.join(needs[:most])}{more})"


def _summary(step: PlannedStep) -> str:
    """Return in a few words what the step does."""
    conditions = " and ".join(_condition(value) for value, _ in step.conditions)
    return _deed(step) + (f"  if {conditions}" if conditions else "")


def _condition(value: Value) -> str:
    text = str(value.raw).strip()
    return text[3:-2].strip() if text.startswith("${{") and text.endswith("}}") else text


def _deed(step: PlannedStep) -> str:
    match step.action:
        case CommandAction() as action:
            return action.deed or _command(action, step.arguments)
        case SelectAction() as action:
            candidates = action.candidates
            among = candidates[0] if len(candidates) == 1 else len(candidates)
            return f"select the {action.mode} of {action.metric} among {among}"
        case Register() as action:
            return f"register {action.name.raw}"
        case Promote() as action:
            places = [str(each.raw) for each in (action.stage, action.alias) if each]
            asked = ", once approved" if action.needs_approval else ""
            return f"promote {action.name.raw} to {' and '.join(places)}{asked}"
        case PipelineEnd():
            return "end of the pipeline"
        case FanOut() as action:
            return _fan(action)
        case FanIn() as action:
            count = len(action.instances)
            return f"all {count} instances" if count else f"all that {action.begin} becomes"
        case _:
            assert_never(step.action)


def _fan(action: FanOut) -> str:
    """Return what the items will be, and when they are known."""
    if action.items is None:
        return f"{_deed(action.template[-1])}  a trial, again and again"
    paths = [path for names in names_of(action.items, Use.ITEMS) for path in names.paths]
    before = dict.fromkeys(path[1] for path in paths if path[0] == "steps" and len(path) > 1)
    when = f"when {' and '.join(before)} is done" if before else "in its turn"
    last = action.template[-1]
    is_pipeline = isinstance(last.action, PipelineEnd)
    deed = f"pipeline of {len(action.template) - 1}" if is_pipeline else _deed(last)
    return f"{deed}  foreach {_condition(action.items)}, decided {when}"


def _command(action: CommandAction, arguments: Mapping[str, Value], width: int = 60) -> str:
    """Return the command's first line with the values that are known put in."""
    text = " ".join(action.template.split())
    for name, value in arguments.items():
        if not is_open(value):
            text = text.replace(f"{{{name}}}", str(value.raw))
    for name, parameter in action.parameters.items():
        if name not in arguments and parameter.default is not None:
            text = text.replace(f"{{{name}}}", parameter.default)
    for name, value in arguments.items():  # as they will be appended
        if name not in action.parameters and f"{{{name}}}" not in action.template:
            text += f" --{name} {value.raw}"
    text = text.replace("{{", "{").replace("}}", "}")
    shown = "".join(character if character.isprintable() else " " for character in text)
    return shown if len(shown) <= width else shown[: width - 1] + "…"


def plan_to_mermaid(plan: Plan) -> str:
    """Return the plan as a Mermaid flowchart, without edges that follow from others."""
    names = {step.id: f"s{place}" for place, step in enumerate(plan.steps)}
    lines = ["flowchart TD"]
    for step in plan.steps:
        opening, closing = ("[", "]") if isinstance(step.action, CommandAction) else ("(", ")")
        lines.append(f'  {names[step.id]}{opening}"{_mermaid_text(step.id)}"{closing}')
    lines += [f"  {names[before]} --> {names[after]}" for before, after in _edges(plan)]
    return "\n".join(lines)


def _mermaid_text(text: str) -> str:
    """Return text in which nothing is markup: Mermaid writes characters as `#number;`."""
    return "".join(
        character if character.isalnum() or character in " ._-/=," else f"#{ord(character)};"
        for character in text
    )


def plan_to_dot(plan: Plan) -> str:
    """Return the plan as a Graphviz digraph, without edges that follow from others."""
    lines = ["digraph plan {", "  node [shape=box];"]
    for step in plan.steps:
        style = "" if isinstance(step.action, CommandAction) else " [style=rounded]"
        lines.append(f"  {_dot_text(step.id)}{style};")
    lines += [f"  {_dot_text(before)} -> {_dot_text(after)};" for before, after in _edges(plan)]
    return "\n".join([*lines, "}"])


def _dot_text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _edges(plan: Plan) -> Iterable[tuple[str, str]]:
    edges: Callable[[Plan], list[tuple[str, str]]] = importlib.import_module(
        "flowrun.plan.graph"
    ).edges_to_draw
    return edges(plan)
