"""Every environment that a project may ask for, whichever entry point is run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from flowrun.plan.loaded import Load, LoadedProject, find_entry_point
from flowrun.spec.project import (
    EntryPoint,
    EntryPointCall,
    EnvSpec,
    Evaluate,
    InlineCommand,
    ProjectCall,
    StepSpec,
)
from flowrun.valueclass import valueclass


@valueclass
class AskedEnv:
    """One environment, and who asks for it."""

    project: str
    """The project's key; '' for the one asked for."""
    env: EnvSpec
    asked_by: tuple[str, ...]
    """Entry points (`train`) and steps (`main/prepare`), in the order of the file."""


def environments_of(loaded: LoadedProject, load: Load) -> tuple[AskedEnv, ...]:
    """Return the environments of all entry points, with those of the projects that they call.

    Args:
        loaded: the project.
        load: finds other projects; called once for each call.
    """
    walk = _Walk(load)
    for entry_point in loaded.project.entry_points.values():
        walk.visit(loaded, entry_point, entry_point.name)
    if not loaded.project.entry_points:  # then it has scripts, which run in the project's own
        walk.add(loaded, loaded.project.env, loaded.project.name or "project")
    return tuple(
        AskedEnv(project, env, tuple(dict.fromkeys(names)))
        for (project, _), (env, names) in walk.found.items()
    )


@dataclass(slots=True)
class _Walk:
    load: Load
    found: dict[tuple[str, EnvSpec], tuple[EnvSpec, list[str]]] = field(default_factory=dict)
    _visited: set[tuple[str, str]] = field(default_factory=set)

    def add(self, loaded: LoadedProject, env: EnvSpec, name: str) -> None:
        # without its mark: one environment may be named at several places of the file
        same = loaded.key, replace(env, mark=None)
        self.found.setdefault(same, (env, []))[1].append(name)

    def visit(
        self,
        loaded: LoadedProject,
        target: EntryPoint,
        name: str,
        step: StepSpec | None = None,
    ) -> None:
        if not target.steps:
            own = step.env if step else None
            self.add(loaded, own or target.env or loaded.project.env, name)
        elif (loaded.key, target.name) not in self._visited:
            self._visited.add((loaded.key, target.name))
            for each in target.steps.values():
                self._visit_step(loaded, target, each, f"{name}/{each.name}")

    def _visit_step(
        self, loaded: LoadedProject, pipeline: EntryPoint, step: StepSpec, name: str
    ) -> None:
        match step.action:
            case InlineCommand() | Evaluate():
                self.add(loaded, step.env or pipeline.env or loaded.project.env, name)
            case EntryPointCall(entry_point=called):
                target = find_entry_point(loaded, called.text)
                if target is not None:
                    self.visit(loaded, target, name, step)
            case ProjectCall() as call:
                other = self.load(call, loaded.key)
                target = find_entry_point(other, call.entry_point)
                if target is not None:
                    self.visit(other, target, name, step)
            case _:
                pass  # what the engine does itself needs none
