"""A project as the plan sees it: what its file says, and which files it has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import TypeAlias

from flowrun.plan.command import script_command
from flowrun.plan.plan import SubProject
from flowrun.spec.project import EntryPoint, Mark, Project, ProjectCall
from flowrun.valueclass import valueclass


@valueclass
class LoadedProject:
    """A project with what the plan must know of its files."""

    project: Project
    sub_project: SubProject | None
    """What it is recorded as; None for the project asked for."""
    has_file: Callable[[str], bool]
    """Tells whether the project's directory has a file of this relative path, which has no `..`."""

    @property
    def key(self) -> str:
        """The project's key in a plan; '' for the one asked for."""
        return self.sub_project.key if self.sub_project else ""


Load: TypeAlias = Callable[[ProjectCall, str], LoadedProject]
"""Finds a project that a step calls, given the key of the project whose step it is."""


def find_entry_point(loaded: LoadedProject, name: str) -> EntryPoint | None:
    """Return an entry point of the project, or one made of a script file, as MLflow does."""
    declared = loaded.project.entry_points.get(name)
    if declared is not None:
        return declared
    command = script_command(name)
    path = PurePosixPath(name)
    if command is None or path.is_absolute() or ".." in path.parts or not loaded.has_file(name):
        return None
    return EntryPoint(name, Mark(loaded.project.file or name, 1, 1), command=command)
