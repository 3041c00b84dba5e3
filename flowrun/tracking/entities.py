"""Experiments, runs and what is logged to them, after MLflow's data model.

Times are integers: milliseconds since the Unix epoch, UTC, as on MLflow's wire. Ids are strings:
an experiment's is a decimal number, a run's 32 hex digits, a logged model's `m-` and 32 hex digits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import Generic, NamedTuple, TypeVar

from flowrun.valueclass import valueclass

T = TypeVar("T")


class LifecycleStage(StrEnum):
    """Deleted things stay until they are purged."""

    ACTIVE = "active"
    DELETED = "deleted"


class ViewType(StrEnum):
    """Which lifecycle stages a search looks at."""

    ACTIVE_ONLY = "ACTIVE_ONLY"
    DELETED_ONLY = "DELETED_ONLY"
    ALL = "ALL"


class RunStatus(StrEnum):
    """The status of a run; the last three are final."""

    RUNNING = "RUNNING"
    SCHEDULED = "SCHEDULED"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"

    @property
    def is_final(self) -> bool:
        """True for a status that a run ends with."""
        return self in {RunStatus.FINISHED, RunStatus.FAILED, RunStatus.KILLED}


@valueclass
class Experiment:
    """A named set of runs. `artifact_location` is the URI under which its runs' artifacts lie."""

    experiment_id: str
    name: str
    artifact_location: str
    lifecycle_stage: LifecycleStage
    creation_time_ms: int
    last_update_time_ms: int
    tags: Mapping[str, str] = field(default_factory=dict)


class Metric(NamedTuple):
    """One point of a metric's history; `value` may be nan or infinite.

    No dataclass, since a history may have a million: a named tuple is made in a third of the time.
    """

    key: str
    value: float
    timestamp_ms: int
    step: int = 0
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None
    run_id: str | None = None
    """Filled in where points of several runs are read together."""


@valueclass
class Dataset:
    """A dataset as a run saw it; `schema` and `profile` are JSON texts of MLflow's making."""

    name: str
    digest: str
    source_type: str
    source: str
    schema: str | None = None
    profile: str | None = None


@valueclass
class DatasetInput:
    """A dataset that a run read, with tags such as `mlflow.data.context`."""

    dataset: Dataset
    tags: Mapping[str, str] = field(default_factory=dict)


@valueclass
class DatasetSummary:
    """That runs of an experiment read a dataset, and in which context (`mlflow.data.context`)."""

    experiment_id: str
    name: str
    digest: str
    context: str | None = None


@valueclass
class ModelInput:
    """A logged model that a run read."""

    model_id: str


@valueclass
class ModelOutput:
    """A logged model that a run made, at a training step."""

    model_id: str
    step: int = 0


@valueclass
class RunInfo:
    """What identifies a run and says how it stands."""

    run_id: str
    experiment_id: str
    run_name: str
    user_id: str
    status: RunStatus
    start_time_ms: int
    end_time_ms: int | None
    artifact_uri: str
    lifecycle_stage: LifecycleStage


@valueclass
class Run:
    """A run with all that was logged to it; `metrics` holds the latest point of each key."""

    info: RunInfo
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    dataset_inputs: tuple[DatasetInput, ...] = ()
    model_inputs: tuple[ModelInput, ...] = ()
    model_outputs: tuple[ModelOutput, ...] = ()


class ModelStatus(StrEnum):
    """The status of a logged model: PENDING until its files are all there."""

    UNSPECIFIED = "LOGGED_MODEL_STATUS_UNSPECIFIED"
    PENDING = "LOGGED_MODEL_PENDING"
    READY = "LOGGED_MODEL_READY"
    FAILED = "LOGGED_MODEL_UPLOAD_FAILED"


@valueclass
class LoggedModel:
    """A model that a run logged, with files of its own (MLflow 3)."""

    model_id: str
    experiment_id: str
    name: str
    artifact_uri: str
    creation_time_ms: int
    last_update_time_ms: int
    status: ModelStatus
    model_type: str | None = None
    source_run_id: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: tuple[Metric, ...] = ()


@valueclass
class ArtifactInfo:
    """A file or folder; `path` is relative to the root, `size_bytes` None for a folder."""

    path: str
    is_dir: bool
    size_bytes: int | None


@valueclass
class Page(Generic[T]):
    """A page of results; `next_page_token` None means there is no more."""

    items: tuple[T, ...]
    next_page_token: str | None = None
