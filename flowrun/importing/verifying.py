"""Reads both sides back after an import and compares them, run by run and point by point."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field, replace

from flowrun.errors import FlowrunError, NotFoundError
from flowrun.importing.importer import Watch
from flowrun.importing.naming import Naming, plan_import
from flowrun.importing.roots import Roots
from flowrun.importing.source import FoundModel, FoundRegisteredModel, Source
from flowrun.importing.target import Target
from flowrun.registry.entities import ModelVersion
from flowrun.tracking.artifact_files import files_of
from flowrun.tracking.entities import DatasetInput, LoggedModel, Metric, Run
from flowrun.tracking.sql.import_rows import FullRun
from flowrun.tracking.sql.part import chunks
from flowrun.tracking.sql.points import stored_value
from flowrun.valueclass import valueclass

_DIGEST_BITS = (1 << 64) - 1


@valueclass
class Verdict:
    """What was found on both sides; equal counts and no difference mean a whole import."""

    there: Counter[str] = field(default_factory=Counter)
    """Kind to how many the source has."""
    here: Counter[str] = field(default_factory=Counter)
    """Kind to how many of these are here."""
    differences: list[str] = field(default_factory=list)

    def count(self, kind: str, there: int, here: int) -> None:
        """Count things of one kind on both sides."""
        self.there[kind] += there
        self.here[kind] += here


def verify(source: Source, target: Target, naming: Naming, roots: Roots, watch: Watch) -> Verdict:
    """Compare everything of a source with what is here now.

    Args:
        source: read a second time.
        target: read by the calls that everybody uses.
        naming: as for the import.
        roots: what `import_all` gave: the artifact folders to compare, if they were copied.
        watch: told how it goes on.
    """
    work = _Comparison(source, target, Verdict(), watch)
    for place in plan_import(source, target, naming).places:
        work.compare_experiment(place.experiment.experiment_id, place.name, place.target_id)
    for found in source.registered_models():
        work.compare_registered_model(found, naming.new_name(found.model.name))
    watch.begin("comparing artifact folders", len(roots))
    for old, new in roots.items():
        work.compare_files(old, new)
    return work.verdict


@valueclass
class _Comparison:
    source: Source
    target: Target
    verdict: Verdict
    watch: Watch

    def compare_experiment(self, old_id: str, name: str, target_id: str | None) -> None:
        self.verdict.count("experiments", 1, int(target_id is not None))
        run_ids = list(self.source.run_roots(old_id))
        self.watch.begin(f"comparing runs of {name}", len(run_ids))
        self.verdict.count("runs", len(run_ids), 0)
        for part in chunks(run_ids, 100):
            for found in self.source.runs(old_id, part):
                self._compare_run(found)
            self.watch.add(len(part))
        for model in self.source.logged_models(old_id):
            self._compare_logged_model(model)

    def compare_registered_model(self, found: FoundRegisteredModel, name: str) -> None:
        self.verdict.count("registered models", 1, 0)
        self.verdict.count("model versions", len(found.versions), 0)
        self.verdict.count("aliases", len(found.model.aliases), 0)
        try:
            here = self.target.stores.registry.get_registered_model(name)
        except NotFoundError:
            self._differ(f"registered model '{name}' is not here")
            return
        self.verdict.count("registered models", 0, 1)
        self.verdict.count("aliases", 0, len(found.model.aliases.keys() & here.aliases.keys()))
        if not (
            found.model.aliases.items() <= here.aliases.items()
            and found.model.tags.items() <= here.tags.items()
        ):
            self._differ(f"registered model '{name}' has other aliases or tags here")
        for version in found.versions:
            self._compare_version(version, name)

    def compare_files(self, old: str, new: str) -> None:
        self.watch.add()
        try:
            there = dict(files_of(self.source.open_artifacts(old)))
        except FlowrunError:
            return  # the import has told why it can't be read
        here = dict(files_of(self.target.open_artifacts(new)))
        self.verdict.count("artifact files", len(there), len(there.items() & here.items()))
        for path in sorted(path for path, size in there.items() if here.get(path) != size):
            self._differ(f"artifact {new}/{path} is not here, or of another size")

    def _compare_run(self, found: FullRun) -> None:
        info = found.run.info
        there = Points.of(found.history, self._differ, info.run_id)
        if there is None:
            return
        try:
            run = self.target.stores.tracking.get_run(info.run_id)
        except NotFoundError:
            self._count_run(found.run, None, there.count, 0)
            self._differ(f"run {info.run_id} is not here")
            return
        here = Points.of(lambda: self.target.tracking.history(info.run_id), self._differ, "")
        self._count_run(found.run, run, there.count, here.count if here else 0)
        if there != here:
            self._differ(f"run {info.run_id}: the histories of its metrics differ")
        for what, is_equal in _parts(found.run, run).items():
            if not is_equal:
                self._differ(f"run {info.run_id}: its {what} differ")

    def _count_run(self, there: Run, here: Run | None, points: int, points_here: int) -> None:
        verdict = self.verdict
        verdict.count("runs", 0, int(here is not None))
        verdict.count("metric points", points, points_here)
        for kind, size in RUN_SIZES.items():
            verdict.count(kind, size(there), size(here) if here else 0)

    def _compare_logged_model(self, found: FoundModel) -> None:
        model_id = found.model.model_id
        here = self.target.tracking.model(model_id)
        self.verdict.count("logged models", 1, int(here is not None))
        if here is None:
            self._differ(f"logged model {model_id} is not here")
        elif _comparable(found.model) != _comparable(here):
            self._differ(f"logged model {model_id} differs")

    def _compare_version(self, version: ModelVersion, name: str) -> None:
        try:
            here = self.target.stores.registry.get_model_version(name, version.version)
        except NotFoundError:
            self._differ(f"version {version.version} of '{name}' is not here")
            return
        self.verdict.count("model versions", 0, 1)
        moved = replace(
            here,
            name=version.name,
            source=version.source,
            download_uri=version.download_uri,
            aliases=(),
        )
        if moved != replace(version, aliases=()):
            self._differ(f"version {version.version} of '{name}' differs")

    def _differ(self, text: str) -> None:
        self.verdict.differences.append(text)


@valueclass
class Points:
    """A history of any order and size as two numbers; equal histories have equal ones."""

    count: int
    digest: int

    @classmethod
    def of(
        cls,
        history: Callable[[], Iterable[Metric]],
        on_problem: Callable[[str], None],
        run_id: str,
    ) -> Points | None:
        """Read a history; None, and the problem told, if it can't be read."""
        count = digest = 0
        try:
            for point in history():
                count += 1
                row = (point.key, point.timestamp_ms, point.step, *stored_value(point.value))
                digest += hash(row)
        except FlowrunError as error:
            on_problem(f"run {run_id} is not here: {error.message}")
            return None
        return cls(count, digest & _DIGEST_BITS)


RUN_SIZES: Mapping[str, Callable[[Run], int]] = {
    "params": lambda run: len(run.params),
    "tags": lambda run: len(run.tags),
    "dataset inputs": lambda run: len(run.dataset_inputs),
    "model inputs and outputs": lambda run: len(run.model_inputs) + len(run.model_outputs),
}


def _parts(there: Run, here: Run) -> dict[str, bool]:
    """Tell which parts of a run are equal; its experiment and artifacts may have moved."""
    moved = replace(
        here.info,
        experiment_id=there.info.experiment_id,
        artifact_uri=there.info.artifact_uri,
    )
    return {
        "name, times or status": moved == there.info,
        "params": dict(here.params) == dict(there.params),
        "tags": dict(here.tags) == dict(there.tags),
        "dataset inputs": _datasets(here.dataset_inputs) == _datasets(there.dataset_inputs),
        "model inputs": set(here.model_inputs) == set(there.model_inputs),
        "model outputs": set(here.model_outputs) == set(there.model_outputs),
    }


def _datasets(inputs: Iterable[DatasetInput]) -> list[tuple[str, str, list[tuple[str, str]]]]:
    return sorted(
        (each.dataset.name, each.dataset.digest, sorted(each.tags.items())) for each in inputs
    )


def _comparable(model: LoggedModel) -> tuple[object, ...]:
    points = {
        (each.key, each.timestamp_ms, each.step, each.run_id, *stored_value(each.value))
        for each in model.metrics
    }
    plain = replace(model, experiment_id="", artifact_uri="", metrics=(), params={}, tags={})
    return plain, dict(model.params), dict(model.tags), points
