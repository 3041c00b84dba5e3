"""Ties a model version to what made it: run, pipeline, commit, inputs, environment."""

from __future__ import annotations

from flowrun.tracking.entities import Run

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
PIPELINE_RUN_TAG = "flowrun.pipeline_run_id"
REGISTERED_BY_TAG = "flowrun.registered_by"
"""The step that made the version, by its id."""


def lineage_tags(run: Run, pipeline_run_id: str | None) -> dict[str, str]:
    """Give the tags for a version whose model the run made.

    Args:
        run: the run of the step that made the model.
        pipeline_run_id: the parent run, if it was a pipeline's step.
    """
    tags = {new: run.tags[old] for old, new in COPIED.items() if old in run.tags}
    tags |= {key: value for key, value in run.tags.items() if key.startswith(INPUT_PREFIX)}
    if pipeline_run_id is not None:
        tags[PIPELINE_RUN_TAG] = pipeline_run_id
    return tags
