"""The other projects that steps call: found once each, and checked against the calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from flowrun.plan.loaded import Load, LoadedProject, find_entry_point
from flowrun.plan.plan import SubProject
from flowrun.spec.check import check_call
from flowrun.spec.check_references import PipelineNames, check_value
from flowrun.spec.problems import Problems, did_you_mean, listed
from flowrun.spec.project import EntryPoint, ProjectCall, StepSpec
from flowrun.spec.references import Use, values_of

Called = Mapping[str, tuple[LoadedProject, EntryPoint]]
"""By step of a pipeline: what its call of another project means."""


@dataclass(slots=True)
class OtherProjects:
    """Every project that a plan's steps call."""

    load: Load
    problems: Problems
    sub_projects: dict[str, SubProject] = field(default_factory=dict)
    """By key, as the plan has them."""
    warnings: list[str] = field(default_factory=list)
    """Of their files, with their URIs in front."""
    _loaded: dict[tuple[str, str, str | None], LoadedProject] = field(default_factory=dict)

    def called_by(self, pipeline: EntryPoint, loaded: LoadedProject) -> Called:
        """Return what the pipeline's calls of other projects mean, and note what is wrong.

        Args:
            loaded: the project that the pipeline is in.
        """
        called = {
            step.name: self._called(step, step.action, loaded.key)
            for step in pipeline.steps.values()
            if isinstance(step.action, ProjectCall)
        }
        if called:
            self._check(pipeline, loaded, called)
        return called

    def _called(
        self, step: StepSpec, call: ProjectCall, caller: str
    ) -> tuple[LoadedProject, EntryPoint]:
        loaded = self._find(call, caller)
        entry_point = find_entry_point(loaded, call.entry_point)
        if entry_point is None:
            known = loaded.project.entry_points
            self.problems.add(
                call.mark,
                f"step '{step.name}' calls '{call.entry_point}', which is no entry point of "
                f"{call.uri}; there are: {listed(known) or 'none'}."
                + did_you_mean(call.entry_point, known),
            )
            entry_point = EntryPoint(call.entry_point, call.mark, command="")
        return loaded, entry_point

    def _find(self, call: ProjectCall, caller: str) -> LoadedProject:
        # The same relative URI means something else in another project.
        key = (caller, call.uri, call.version)
        if key not in self._loaded:
            loaded = self._loaded[key] = self.load(call, caller)
            if loaded.sub_project is not None:
                self.sub_projects[loaded.sub_project.key] = loaded.sub_project
            self.warnings += [f"{call.uri}: {text}" for text in loaded.project.warnings]
        return self._loaded[key]

    def _check(self, pipeline: EntryPoint, loaded: LoadedProject, called: Called) -> None:
        """Check what only the called projects can tell: parameters, and names of outputs."""
        entry_points = {name: entry_point for name, (_, entry_point) in called.items()}
        names = PipelineNames(loaded.project, pipeline, entry_points)
        for step in pipeline.steps.values():
            if step.name in entry_points:
                check_call(step, entry_points[step.name], self.problems)
            for value, use in values_of(step):
                check_value(value, use, step, names, self.problems)
        for value in pipeline.results.values():
            check_value(value, Use.RESULT, None, names, self.problems)
