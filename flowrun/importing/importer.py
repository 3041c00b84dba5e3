"""Takes a source over into the stores: names first, then runs, models, registry, artifacts.

Everything has its place by its own id or name, whole or not at all. So an import that was killed is
started again and goes on: what is there is skipped, what is missing is added.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from flowrun.errors import FlowrunError
from flowrun.importing.artifacts import copy_missing, links_that_lead_out
from flowrun.importing.naming import Naming, Place, Plan, plan_import
from flowrun.importing.roots import Roots
from flowrun.importing.source import FoundModel, FoundRegisteredModel, Source
from flowrun.importing.target import Target
from flowrun.tracking.entities import LifecycleStage, LoggedModel
from flowrun.tracking.sql.import_rows import FullRun
from flowrun.tracking.sql.part import chunks
from flowrun.valueclass import valueclass

_RUNS_AT_ONCE = 100
"""Runs of one transaction: a writer beside the import waits for no more than these."""


class Watch(Protocol):
    """Told how the import goes on."""

    def begin(self, what: str, total: int) -> None:
        """Begin a part of the work, of so many things."""

    def add(self, count: int = 1) -> None:
        """So many things more are done."""


@valueclass
class Choices:
    """What the user chose."""

    naming: Naming
    copies_artifacts: bool
    on_problem: Callable[[str], None]
    """Told of each thing that is left out."""


def import_all(source: Source, target: Target, choices: Choices, watch: Watch) -> Roots:
    """Import everything that is not there yet; give where artifacts lie now.

    Raises:
        AlreadyExistsError: names are taken by other things; nothing was written then.
        StoreError: a store failed; start again to go on.
    """
    work = _Work(source, target, choices, watch, plan_import(source, target, choices.naming))
    for place in work.plan.places:
        work.import_experiment(place)
    work.import_registered_models()
    if choices.copies_artifacts:
        work.copy_artifacts()
    return work.roots


class _Work:
    """One import, on its way."""

    def __init__(
        self, source: Source, target: Target, choices: Choices, watch: Watch, plan: Plan
    ) -> None:
        self._source = source
        self._target = target
        self._choices = choices
        self._watch = watch
        self.plan = plan
        self.roots = Roots()

    def import_experiment(self, place: Place) -> None:
        """Import an experiment with its runs and logged models."""
        experiment_id = self._make_experiment(place)
        old_id = place.experiment.experiment_id
        sources = self._source.run_roots(old_id)
        for run_id, uri in sources.items():
            self._note_root(uri, self._target.run_root(experiment_id, run_id))
        known = self._target.tracking.known_runs(list(sources))
        missing = [run_id for run_id in sources if run_id not in known]
        self._watch.begin(f"runs of {place.name}", len(sources))
        self._watch.add(len(known))
        for part in chunks(missing, _RUNS_AT_ONCE):
            self._import_runs(experiment_id, list(self._source.runs(old_id, part)))
            self._watch.add(len(part))
        self._import_models(experiment_id, list(self._source.logged_models(old_id)))

    def import_registered_models(self) -> None:
        """Import registered models with their versions, stages, aliases and tags."""
        self._watch.begin("registered models", 0)
        for found in self._source.registered_models():
            moved = self._moved_model(found)
            self._target.registry.add_model(moved.model, moved.versions, moved.last_version)
            self._watch.add()

    def copy_artifacts(self) -> None:
        """Copy the files that are not there yet."""
        self._watch.begin("artifact folders", len(self.roots))
        for old, new in self.roots.items():
            try:
                source = self._source.open_artifacts(old)
                copy_missing(source, self._target.open_artifacts(new))
                for link in links_that_lead_out(source):
                    self._choices.on_problem(f"{link}: a link that leads out of its folder")
            except FlowrunError as error:
                self._choices.on_problem(str(error))
            self._watch.add()

    def _make_experiment(self, place: Place) -> str:
        if place.target_id is not None:
            self._target.tracking.add_experiment_tags(place.target_id, place.experiment.tags)
            return place.target_id
        location = place.experiment.artifact_location
        return self._target.tracking.add_experiment(
            replace(place.experiment, name=place.name),
            self._target.experiment_root if self._choices.copies_artifacts else lambda _: location,
        )

    def _import_runs(self, experiment_id: str, found: Sequence[FullRun]) -> None:
        moved = [
            FullRun(
                replace(
                    each.run,
                    info=replace(
                        each.run.info,
                        experiment_id=experiment_id,
                        artifact_uri=self.roots.moved(each.run.info.artifact_uri),
                    ),
                ),
                each.history,
            )
            for each in found
        ]
        for run_id, error in self._target.tracking.add_runs(moved).items():
            self._choices.on_problem(f"run {run_id}: {error}")

    def _import_models(self, experiment_id: str, found: Sequence[FoundModel]) -> None:
        for each in found:
            new = self._target.model_root(experiment_id, each.model.model_id)
            self._note_root(each.model.artifact_uri, new)
        for part in chunks(found, _RUNS_AT_ONCE):
            self._target.tracking.add_models(list(self._moved_models(experiment_id, part)))

    def _moved_models(
        self, experiment_id: str, found: Sequence[FoundModel]
    ) -> Iterator[tuple[LoggedModel, LifecycleStage]]:
        for each in found:
            uri = self.roots.moved(each.model.artifact_uri)
            yield replace(each.model, experiment_id=experiment_id, artifact_uri=uri), each.stage

    def _moved_model(self, found: FoundRegisteredModel) -> FoundRegisteredModel:
        versions = tuple(
            replace(
                version,
                source=self.roots.moved(version.source),
                download_uri=self.roots.moved(version.download_uri),
            )
            for version in found.versions
        )
        model = replace(found.model, name=self._choices.naming.new_name(found.model.name))
        return replace(found, model=model, versions=versions)

    def _note_root(self, old: str, new: str) -> None:
        if self._choices.copies_artifacts and old:
            self.roots.add(old, new)
