"""Finished runs of steps in a store: by fingerprint, and by the step's id.

Only MLflow's protocol is used, so that every store will do. Its filters can't ask for several
fingerprints at once, but for several runs by their ids. So first the runs are fetched that stood
for the steps when the same pipeline ran the last few times, in a few calls for all steps; only what
is not among them is asked for one by one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from flowrun.engine.record.live import PARENT_TAG
from flowrun.engine.record.outcome import read_outcome
from flowrun.engine.request import RunRequest
from flowrun.plan.fingerprint import Manifest
from flowrun.stores import all_items
from flowrun.tracking.artifacts import Artifacts
from flowrun.tracking.entities import Run
from flowrun.tracking.limits import MAX_SEARCH_RESULTS
from flowrun.tracking.store import TrackingStore

FINGERPRINT_TAG = "flowrun.fingerprint"
"""On a run from the moment at which all that it left is kept; with status FINISHED it may be
used in a step's place."""
MANIFEST_TAG = "flowrun.manifest"
STEP_TAG = "flowrun.step"
PIPELINE_TAG = "flowrun.pipeline"
"""On a pipeline's run: which pipeline of which project it is, wherever that was checked out."""
_FINISHED = f"attributes.status = 'FINISHED' AND tags.`{FINGERPRINT_TAG}`"
_QUOTABLE = re.compile(r"[^'\"\\`]+")
_INSTANCE = re.compile(r"\[[^\[]*\]$")
_RUNS_AT_ONCE = 500
_MOST_PIPELINES = 5
_MOST_CANDIDATES = 10
_MOST_ASKED = 10
"""So many steps of a run are looked for under their names in all of the store, which takes the
store longer the more runs it has. Where more are unknown, it is the pipeline that is new."""


@dataclass(slots=True)
class EarlierRuns:
    """The finished runs of one store. Called from any thread."""

    store: TrackingStore
    open_artifacts: Callable[[str], Artifacts]
    _experiment_ids: list[str] = field(default_factory=list)
    _by_fingerprint: dict[str, list[Run]] = field(default_factory=dict)
    _by_step: dict[str, list[Run]] = field(default_factory=dict)
    _by_name: dict[str, list[Run]] = field(default_factory=dict)
    """The same for all instances of a matrix: a new one is like one of those."""
    _asked: set[str] = field(default_factory=set)

    def fetch(self, pipeline: str, step_ids: Collection[str]) -> None:
        """Fetch what stood for the steps when the pipeline ran the last few times."""
        if not _QUOTABLE.fullmatch(pipeline):
            return
        missing = set(step_ids)
        condition = f"tags.`{PIPELINE_TAG}` = '{pipeline}'"
        for parent in self._search(condition, _MOST_PIPELINES):
            for run in self._runs_in(parent):
                step_id = run.tags.get(STEP_TAG, "")
                missing.discard(step_id)
                self._by_step.setdefault(step_id, []).append(run)
                self._by_name.setdefault(name_of(step_id), []).append(run)
                self._by_fingerprint.setdefault(run.tags[FINGERPRINT_TAG], []).append(run)
            if not missing:
                return

    def fetched(self, fingerprint: str, experiment_id: str | None = None) -> Sequence[Run]:
        """Give the runs with a fingerprint among those fetched, the newest first."""
        return _of(experiment_id, self._by_fingerprint.get(fingerprint, ()))

    def find(self, fingerprint: str, experiment_id: str | None = None) -> Sequence[Run]:
        """Ask the store for the newest runs with a fingerprint as it is now."""
        condition = f"{_FINISHED} = '{fingerprint}'"
        return self._search(condition, _MOST_CANDIDATES, experiment_id)

    def by_ids(self, run_ids: Mapping[str, str]) -> Mapping[str, Run]:
        """Give finished runs by the same keys as their ids; what is gone is not among them."""
        wanted = list(dict.fromkeys(run_ids.values()))
        condition = "attributes.status = 'FINISHED'"
        found = {run.info.run_id: run for run in self._of_ids(wanted, condition)}
        return {key: found[run_id] for key, run_id in run_ids.items() if run_id in found}

    def nearest(self, step_id: str, manifest: Manifest) -> tuple[Run, Manifest] | None:
        """Give the run of a step whose manifest is most like this one, the newest of several."""
        best: tuple[int, Run, Manifest] | None = None
        for run in self._of_step(step_id):
            other = Manifest.parse(run.tags.get(MANIFEST_TAG, ""))
            if other is None:
                continue
            distance = len(dict(manifest.lines.items() ^ other.lines.items()))
            if best is None or distance < best[0]:
                best = distance, run, other
        return best[1:] if best else None

    def _runs_in(self, pipeline: Run) -> Iterator[Run]:
        """Give the finished runs that stand for steps in the run of a pipeline."""
        outcome = read_outcome(self.open_artifacts(pipeline.info.artifact_uri))
        if outcome is None:  # flowrun was killed before its end, or is not there yet
            children = f"{_FINISHED} != '' AND tags.`{PARENT_TAG}` = '{pipeline.info.run_id}'"
            yield from self._search(children, MAX_SEARCH_RESULTS)
            return
        # one run may stand for many equal steps
        run_ids = dict.fromkeys(row.run_id for row in outcome.values() if row.run_id)
        yield from self._of_ids(list(run_ids), f"{_FINISHED} != ''")

    def _of_ids(self, run_ids: Sequence[str], condition: str) -> Iterator[Run]:
        for start in range(0, len(run_ids), _RUNS_AT_ONCE):
            some = run_ids[start : start + _RUNS_AT_ONCE]
            listed = ", ".join(f"'{run_id}'" for run_id in some if run_id.isalnum())
            if listed:
                wanted = f"{condition} AND attributes.run_id IN ({listed})"
                yield from self._search(wanted, _RUNS_AT_ONCE)

    def _of_step(self, step_id: str) -> Iterator[Run]:
        known = self._by_step.get(step_id) or self._by_name.get(name_of(step_id))
        if known:
            yield from known[:_MOST_CANDIDATES]
        elif _QUOTABLE.fullmatch(step_id) and len(self._asked | {step_id}) <= _MOST_ASKED:
            self._asked.add(step_id)
            condition = f"{_FINISHED} != '' AND tags.`{STEP_TAG}` = '{step_id}'"
            yield from self._search(condition, _MOST_CANDIDATES)

    def _search(self, condition: str, most: int, experiment_id: str | None = None) -> Sequence[Run]:
        ids = [experiment_id] if experiment_id else self.experiment_ids()
        return self.store.search_runs(ids, filter_text=condition, max_results=most).items

    def experiment_ids(self) -> list[str]:
        """Give those of the whole store."""
        if not self._experiment_ids:
            store = self.store
            self._experiment_ids = [
                experiment.experiment_id
                for experiment in all_items(
                    lambda token: store.search_experiments(page_token=token)
                )
            ]
        return self._experiment_ids


def _of(experiment_id: str | None, runs: Sequence[Run]) -> Sequence[Run]:
    if experiment_id is None:
        return runs
    return [run for run in runs if run.info.experiment_id == experiment_id]


def name_of(step_id: str) -> str:
    """Give the name of a step without what tells the instances of its matrix apart."""
    return _INSTANCE.sub("", step_id)


def pipeline_name(request: RunRequest) -> str:
    """Give what `PIPELINE_TAG` says: the project, wherever it was checked out, and entry point."""
    source = request.projects[""].source
    address = source.repo_url or source.uri.partition("#")[0]
    return f"{address}#{source.subdir} {request.plan.entry_point}"
