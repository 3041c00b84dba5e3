"""Ties a model version to what made it: run, pipeline, commit, inputs, environment, data."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Sequence

from flowrun.errors import InvalidValueError, NotFoundError
from flowrun.tracking.entities import Run
from flowrun.tracking.store import TrackingStore

COPIED = {
    "mlflow.source.name": "flowrun.source",
    "mlflow.source.git.commit": "flowrun.commit",
    "mlflow.source.git.dirty": "flowrun.dirty",
    "flowrun.source.tree": "flowrun.tree",
    "flowrun.env.key": "flowrun.env.key",
    "flowrun.env.backend": "flowrun.env.backend",
    "flowrun.step": "flowrun.step",
}
"""A run's tag to the version's tag that carries the same."""
INPUT_PREFIX = "flowrun.input."
DATA_PREFIX = "flowrun.data."
"""Of a version's tags: the sha256 of some data follows, which is the tag's value as well."""
COMMIT_TAG = "flowrun.commit"
PIPELINE_RUN_TAG = "flowrun.pipeline_run_id"
REGISTERED_BY_TAG = "flowrun.registered_by"
"""The step that made the version, by its id."""
MOST_RUNS = 200
MOST_DATA = 500
"""So much of what is behind a model is looked at, and written down with its version."""


def lineage_tags(tracking: TrackingStore, run: Run, pipeline_run_id: str | None) -> dict[str, str]:
    """Give the tags for a version whose model a run made.

    Args:
        tracking: where the run is, and those before it.
        run: the run of the step that made the model.
        pipeline_run_id: the parent run, if it was a pipeline's step.
    """
    tags = {new: run.tags[old] for old, new in COPIED.items() if old in run.tags}
    tags |= {key: value for key, value in run.tags.items() if key.startswith(INPUT_PREFIX)}
    if pipeline_run_id is not None:
        tags[PIPELINE_RUN_TAG] = pipeline_run_id
    return tags | data_tags(upstream(tracking, run))


def data_tags(runs: Sequence[Run]) -> dict[str, str]:
    """Give a tag for each digest of data that some runs read.

    A tag for each, with a name of its own: so a search by name and value finds all versions that
    any data went into, in an index.
    """
    found = dict.fromkeys(each["sha256"] for run in runs for each in inputs_of(run).values())
    return {f"{DATA_PREFIX}{sha256}": sha256 for sha256 in list(found)[:MOST_DATA]}


def upstream(tracking: TrackingStore, run: Run) -> list[Run]:
    """Give a run and those that made what it read, and so on: nearest first, 200 at most.

    One that is gone, and what was before it, is left out.
    """
    found = {run.info.run_id: run}
    waiting = deque([run])
    while waiting and len(found) < MOST_RUNS:
        for run_id in _makers(tracking, waiting.popleft()):
            if run_id in found or len(found) == MOST_RUNS:
                continue
            try:
                made = tracking.get_run(run_id)
            except (NotFoundError, InvalidValueError):
                continue  # purged since, or the tag was cut
            found[run_id] = made
            waiting.append(made)
    return list(found.values())


def inputs_of(run: Run) -> dict[str, dict[str, str]]:
    """Give what a run read, by the name of the input: `uri` and `sha256`."""
    found: dict[str, dict[str, str]] = {}
    for key, text in run.tags.items():
        if not key.startswith(INPUT_PREFIX):
            continue
        try:
            data = json.loads(text)
            read = {"uri": str(data["uri"]), "sha256": str(data["sha256"])}
        except (ValueError, TypeError, KeyError):
            continue  # cut, or overwritten by somebody: the fact is lost
        found[key.removeprefix(INPUT_PREFIX)] = read
    return found


def _makers(tracking: TrackingStore, run: Run) -> Iterator[str]:
    """Give the runs that made what a run read."""
    for read in inputs_of(run).values():
        uri = read["uri"]
        if uri.startswith("runs:/"):
            yield uri.removeprefix("runs:/").partition("/")[0]
        elif uri.startswith("models:/m-"):
            try:
                model = tracking.get_logged_model(uri.removeprefix("models:/").partition("/")[0])
            except (NotFoundError, InvalidValueError):
                continue
            if model.source_run_id is not None:
                yield model.source_run_id
