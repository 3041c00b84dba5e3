"""What is checked before any run exists, beyond what the plan itself says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from flowrun.engine.request import ProjectCode, RunOptions
from flowrun.engine.steps.fetch import unfetchable
from flowrun.engine.steps.local_paths import local_path_of
from flowrun.envs.base import EnvRequest
from flowrun.envs.store import EnvStore
from flowrun.errors import PlanError, UnsupportedError
from flowrun.plan.plan import CommandAction, Plan, PlannedStep
from flowrun.registry.approval import no_approvals_text
from flowrun.registry.store import RegistryStore
from flowrun.spec.project import EnvSpec, ParameterType, Promote, Value


def check_before_run(
    plan: Plan,
    projects: Mapping[str, ProjectCode],
    envs: EnvStore,
    options: RunOptions,
    variables: Mapping[str, str],
    cwd: Path,
) -> None:
    """Refuse a plan whose paths, secrets or environments can be seen to be missing.

    Raises:
        PlanError: with a line for each path and secret that is missing.
        EnvError: the first environment that can't be had.
    """
    problems = [
        problem
        for step in plan.looks
        for problem in (
            *_missing_secrets(step, variables),
            *_missing_paths(step, projects[step.project].directory, cwd),
        )
    ]
    if problems:
        raise PlanError("\n".join(dict.fromkeys(problems)))
    checked: set[tuple[str, EnvSpec, str | None]] = set()
    for step in plan.looks:
        given = options.env_of(step)
        manager = given.manager if given else options.env_manager
        if step.env is not None and (step.project, step.env, manager) not in checked:
            checked.add((step.project, step.env, manager))
            envs.check(EnvRequest(step.env, projects[step.project].directory), manager)


def check_approvals(plan: Plan, registry: RegistryStore, uri: str) -> None:
    """Refuse a plan with a promotion to be approved, where nobody could approve it.

    Raises:
        UnsupportedError: the registry keeps no requests.
    """
    needs = any(isinstance(s.action, Promote) and s.action.needs_approval for s in plan.looks)
    if needs and not registry.keeps_requests:
        raise UnsupportedError(no_approvals_text(uri))


def _missing_secrets(step: PlannedStep, variables: Mapping[str, str]) -> Iterator[str]:
    for name in step.secrets:
        if name not in variables:
            yield (
                f"{_where(step)}step '{step.id}' needs the secret {name}, but the environment "
                "variable of that name is not set"
            )


def _missing_paths(step: PlannedStep, project: Path, cwd: Path) -> Iterator[str]:
    if not isinstance(step.action, CommandAction):
        return
    for name, text in _known_paths(step, step.action):
        where = f"{_where(step)}parameter '{name}' of step '{step.id}'"
        path = local_path_of(text)
        if path is None:
            if problem := unfetchable(text):
                yield f"{where}: {problem}"
        elif not any((base / path).exists() for base in (project, cwd)):
            yield f"{where} is a path, but '{text}' exists neither in the project nor in {cwd}"


def _known_paths(step: PlannedStep, action: CommandAction) -> Iterator[tuple[str, str]]:
    """Give name and text of the arguments that are paths, if they are literal, else the defaults.

    What an `evaluate` compares with is one too, as are the files of its own metrics.
    """
    for parameter in action.parameters.values():
        if parameter.type is ParameterType.PATH:
            text = _known_text(step.arguments.get(parameter.name), parameter.default)
            if text is not None:
                yield parameter.name, text
    baseline = _known_text(step.arguments.get(action.baseline or ""), None)
    if action.baseline is not None and baseline:
        yield action.baseline, baseline
    for file in action.files:
        yield "metrics", file


def _known_text(value: Value | None, default: str | None) -> str | None:
    if value is None:
        return default
    if isinstance(value.raw, str) and "${{" not in value.raw:
        return value.raw
    return None


def _where(step: PlannedStep) -> str:
    return f"{step.mark}: " if step.mark is not None else ""
