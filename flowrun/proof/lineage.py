"""Where a model version comes from, and which versions come from a commit or some data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import field

from flowrun.engine.release.lineage import (
    COMMIT_TAG,
    DATA_PREFIX,
    PIPELINE_RUN_TAG,
    inputs_of,
    upstream,
)
from flowrun.engine.release.registering import SHA256_TAG
from flowrun.errors import InvalidValueError, NotFoundError
from flowrun.registry.entities import ModelVersion
from flowrun.stores import Stores, all_items
from flowrun.tracking.entities import Run
from flowrun.valueclass import valueclass

COMMIT_RUN_TAG = "mlflow.source.git.commit"
MIN_COMMIT_DIGITS = 7
_HEX = re.compile(r"[0-9a-f]+")
_SHA256_DIGITS = 64
_COMMIT_DIGITS = 40
_RUNS_AT_ONCE = 100


@valueclass
class LineageStep:
    """A run that the model came from, near or far."""

    run_id: str
    step: str
    """Its id in the pipeline; '' if it was none's."""
    entry_point: str
    commit: str | None
    params: Mapping[str, str]
    inputs: Mapping[str, Mapping[str, str]]
    """By name: `uri` and `sha256`."""
    env_backend: str | None
    env_key: str | None
    """sha256 of the lock."""
    env_lock: str | None
    """Where the lock is: `runs:/...`."""

    @property
    def data(self) -> dict[str, Mapping[str, str]]:
        """Of its inputs those that no run has made."""
        made = ("runs:/", "models:/")
        return {k: v for k, v in self.inputs.items() if not v["uri"].startswith(made)}


@valueclass
class Lineage:
    """Where a version comes from; what the store does not know (any more) is left out."""

    version: ModelVersion
    sha256: str | None
    """Of the model's files."""
    metrics: Mapping[str, float]
    """Of the run that made it."""
    steps: tuple[LineageStep, ...]
    """The run that made the model first, then those before it."""
    pipeline_run_id: str | None = None
    pipeline: str | None = None
    """The pipeline's entry point."""
    pipeline_params: Mapping[str, str] = field(default_factory=dict)
    source: str | None = None
    repo_url: str | None = None
    commit: str | None = None
    tree: str | None = None
    is_dirty: bool = False


def lineage_of(stores: Stores, version: ModelVersion) -> Lineage:
    """Give where a version comes from.

    Args:
        stores: where it is.
        version: any, also of another tool: then there is less to tell.
    """
    run = _run(stores, version.run_id)
    tags = version.tags
    behind = upstream(stores.tracking, run) if run is not None else []
    pipeline_run_id = tags.get(PIPELINE_RUN_TAG) or (_parent(run) if run is not None else None)
    pipeline = _run(stores, pipeline_run_id)
    told = run.tags if run is not None else {}
    return Lineage(
        version,
        tags.get(SHA256_TAG),
        {key: metric.value for key, metric in run.metrics.items()} if run is not None else {},
        tuple(_step(each) for each in behind),
        pipeline_run_id,
        pipeline.tags.get("mlflow.project.entryPoint") if pipeline is not None else None,
        pipeline.params if pipeline is not None else {},
        tags.get("flowrun.source") or told.get("mlflow.source.name"),
        told.get("mlflow.source.git.repoURL"),
        tags.get(COMMIT_TAG) or told.get(COMMIT_RUN_TAG),
        tags.get("flowrun.tree") or told.get("flowrun.source.tree"),
        (tags.get("flowrun.dirty") or told.get("mlflow.source.git.dirty")) == "true",
    )


def versions_from_data(stores: Stores, sha256: str) -> list[ModelVersion]:
    """Give every version that `register` made of some data, directly or through other steps.

    Args:
        stores: where to look.
        sha256: of a file or folder that a step read.

    Raises:
        InvalidValueError: it is no sha256.
    """
    if len(sha256) != _SHA256_DIGITS or not _HEX.fullmatch(sha256):
        raise InvalidValueError(f"'{sha256}' is no sha256, which has 64 digits from 0 to f")
    return _sorted(_search(stores, f"tags.`{DATA_PREFIX}{sha256}` = '{sha256}'"))


def versions_from_commit(stores: Stores, commit: str) -> list[ModelVersion]:
    """Give every version that was made by a commit's code, whoever registered it.

    Args:
        stores: where to look.
        commit: all its 40 digits, or 7 and more of the first ones.

    Raises:
        InvalidValueError: it is neither.
    """
    if not MIN_COMMIT_DIGITS <= len(commit) <= _COMMIT_DIGITS or not _HEX.fullmatch(commit):
        raise InvalidValueError(f"'{commit}' is no commit: give 7 to 40 digits from 0 to f")
    operator = f"= '{commit}'" if len(commit) == _COMMIT_DIGITS else f"LIKE '{commit}%'"
    found = _search(stores, f"tags.`{COMMIT_TAG}` {operator}")
    # A client that registers from within a step writes no commit on the version.
    ids = list(_runs_from(stores, operator))
    for start in range(0, len(ids), _RUNS_AT_ONCE):
        quoted = ", ".join(f"'{run_id}'" for run_id in ids[start : start + _RUNS_AT_ONCE])
        found += _search(stores, f"run_id IN ({quoted})")
    return _sorted(found)


def _runs_from(stores: Stores, operator: str) -> Iterator[str]:
    experiments = all_items(lambda token: stores.tracking.search_experiments(page_token=token))
    ids = [experiment.experiment_id for experiment in experiments]
    runs = all_items(
        lambda token: stores.tracking.search_runs(
            ids, filter_text=f"tags.`{COMMIT_RUN_TAG}` {operator}", page_token=token
        )
    )
    return (run.info.run_id for run in runs)


def _search(stores: Stores, text: str) -> list[ModelVersion]:
    return all_items(
        lambda token: stores.registry.search_model_versions(filter_text=text, page_token=token)
    )


def _sorted(versions: list[ModelVersion]) -> list[ModelVersion]:
    unique = {(each.name, int(each.version)): each for each in versions}
    return [unique[key] for key in sorted(unique)]


def _run(stores: Stores, run_id: str | None) -> Run | None:
    if run_id is None:
        return None
    try:
        return stores.tracking.get_run(run_id)
    except (NotFoundError, InvalidValueError):
        return None  # purged since, or of another store


def _parent(run: Run) -> str | None:
    return run.tags.get("mlflow.parentRunId")


def _step(run: Run) -> LineageStep:
    tags = run.tags
    return LineageStep(
        run.info.run_id,
        tags.get("flowrun.step", ""),
        tags.get("mlflow.project.entryPoint", ""),
        tags.get(COMMIT_RUN_TAG),
        run.params,
        inputs_of(run),
        tags.get("flowrun.env.backend"),
        tags.get("flowrun.env.key"),
        tags.get("flowrun.env.lock"),
    )
