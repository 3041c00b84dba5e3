"""A project, an entry point and parameters to a plan."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from flowrun.errors import PlanError
from flowrun.plan.expand import Expansion
from flowrun.plan.loaded import Load, LoadedProject, find_entry_point
from flowrun.plan.order import in_order
from flowrun.plan.other_projects import OtherProjects
from flowrun.plan.params import bind_params, extra_warnings
from flowrun.plan.plan import Plan
from flowrun.spec.check import SCRIPT_SUFFIXES
from flowrun.spec.problems import Problems, did_you_mean, listed
from flowrun.spec.project import EntryPoint, Mark

if TYPE_CHECKING:
    from flowrun.plan.sweep import Swept

__all__ = ["LoadedProject", "build_plan"]


def build_plan(
    project: LoadedProject,
    entry_point: str = "main",
    params: Mapping[str, str] | None = None,
    *,
    load: Load,
    marks: Mapping[str, Mark] | None = None,
    swept: Swept | None = None,
) -> Plan:
    """Return the plan of one entry point. Pure, apart from what `load` does.

    Args:
        params: as given on the command line.
        load: finds a project that a step calls; asked once for each project, URI and version.
        marks: where those parameters stand that come from a file.
        swept: plan a sweep over the entry point.

    Raises:
        PlanError: no such entry point, or parameters that don't fit.
        SpecError: mistakes that only show when the plan is made, each with its place.
    """
    given = params or {}
    target = _entry_point_asked_for(project, entry_point)
    open_names = swept.names if swept else ()
    bound = bind_params(_without(target, open_names), given, marks)
    problems = Problems()
    expansion = Expansion(OtherProjects(load, problems), problems=problems)
    if swept is None:
        expansion.expand(project, target, bound)
    else:
        expansion.sweep(project, target, bound, swept)
    problems.raise_if_any()
    return Plan(
        project.project.name,
        entry_point,
        bound,
        in_order(expansion.steps),
        expansion.others.sub_projects,
        is_pipeline=bool(target.steps) or swept is not None,
        is_sweep=swept is not None,
        warnings=(
            *project.project.warnings,
            *extra_warnings(target, given),
            *expansion.others.warnings,
        ),
    )


def _without(target: EntryPoint, names: Collection[str]) -> EntryPoint:
    kept = {name: each for name, each in target.parameters.items() if name not in names}
    return replace(target, parameters=kept) if names else target


def _entry_point_asked_for(loaded: LoadedProject, name: str) -> EntryPoint:
    found = find_entry_point(loaded, name)
    if found is not None:
        return found
    known = loaded.project.entry_points
    if name.endswith(SCRIPT_SUFFIXES):
        raise PlanError(f"the project has no entry point and no file '{name}'")
    if loaded.project.file is None:
        raise PlanError(
            "the project has no MLproject file, and so no entry points",
            "Name one of its scripts instead, such as -e train.py; `flowrun init DIRECTORY` makes "
            "a project to start from.",
        )
    there_are = f"there are: {listed(known)}" if known else "it has none"
    raise PlanError(
        f"the project has no entry point '{name}'; {there_are}.{did_you_mean(name, known)}"
    )
