"""What tests of plans do again and again."""

from __future__ import annotations

from collections.abc import Mapping

from flowrun.plan.build import LoadedProject, build_plan
from flowrun.plan.loaded import Load
from flowrun.plan.plan import Plan, PlannedStep
from flowrun.spec.project import ProjectCall
from tests.spec.reading import read


def no_project(call: ProjectCall, caller: str) -> LoadedProject:
    """Find no other project."""
    raise AssertionError(call, caller)


def plan_of(
    text: str,
    entry_point: str = "main",
    params: Mapping[str, str] | None = None,
    *,
    files: tuple[str, ...] = (),
    load: Load = no_project,
) -> Plan:
    """Plan an entry point of the file with this (indented) text."""
    loaded = LoadedProject(read(text), None, files.__contains__)
    return build_plan(loaded, entry_point, params, load=load)


def step_of(plan: Plan, step_id: str) -> PlannedStep:
    """Return the step with this id."""
    return next(step for step in plan.steps if step.id == step_id)


def needs_of(plan: Plan) -> dict[str, tuple[str, ...]]:
    """Return every step with what it needs."""
    return {step.id: step.needs for step in plan.steps}


def values_of(step: PlannedStep) -> dict[str, object]:
    """Return the step's arguments."""
    return {name: value.raw for name, value in step.arguments.items()}
