"""The promise of a tracking store: one protocol for each noun, put together at the end.

Every method is all or nothing, may be called from any thread, and raises the errors of
`flowrun.errors`: NotFoundError, AlreadyExistsError, InvalidValueError, InvalidStateError and
StoreError.
What was acknowledged survives a kill -9 of any process.
Source: MLflow REST API; limits in `tracking/limits.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from flowrun.tracking.entities import (
    DatasetInput,
    DatasetSummary,
    Experiment,
    LoggedModel,
    Metric,
    ModelInput,
    ModelOutput,
    ModelStatus,
    Page,
    Run,
    RunInfo,
    RunStatus,
    ViewType,
)
from flowrun.tracking.pace import Pace


class ExperimentStore(Protocol):
    """Experiments."""

    def create_experiment(
        self,
        name: str,
        *,
        artifact_location: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Make an experiment and give its id. Raises AlreadyExistsError, also for a deleted one."""

    def get_experiment(self, experiment_id: str) -> Experiment:
        """Give an experiment, deleted or not."""

    def get_experiment_by_name(self, name: str) -> Experiment | None:
        """Give the experiment of this name, deleted or not; None if there is none."""

    def search_experiments(
        self,
        *,
        view: ViewType = ViewType.ACTIVE_ONLY,
        filter_text: str = "",
        order_by: Sequence[str] = (),
        max_results: int = 1000,
        page_token: str | None = None,
    ) -> Page[Experiment]:
        """Find experiments; default order: newest first."""

    def rename_experiment(self, experiment_id: str, name: str) -> None:
        """Give an active experiment another name."""

    def delete_experiment(self, experiment_id: str) -> None:
        """Mark an experiment and its active runs as deleted."""

    def restore_experiment(self, experiment_id: str) -> None:
        """Undo `delete_experiment`."""

    def set_experiment_tag(self, experiment_id: str, key: str, value: str) -> None:
        """Set or replace a tag of an active experiment."""

    def delete_experiment_tag(self, experiment_id: str, key: str) -> None:
        """Remove a tag of an active experiment; NotFoundError if it has none of this key."""


class RunStore(Protocol):
    """Runs, with what is logged to them."""

    def create_run(
        self,
        experiment_id: str,
        *,
        user_id: str = "",
        run_name: str | None = None,
        start_time_ms: int | None = None,
        tags: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> Run:
        """Make a RUNNING run in an active experiment; without a name it gets a random one."""

    def get_run(self, run_id: str) -> Run:
        """Give a run, deleted or not, with everything but its metrics' histories."""

    def update_run(
        self,
        run_id: str,
        *,
        status: RunStatus | None = None,
        end_time_ms: int | None = None,
        run_name: str | None = None,
    ) -> RunInfo:
        """Change what is given; None leaves a field as it is."""

    def delete_run(self, run_id: str) -> None:
        """Mark a run as deleted."""

    def restore_run(self, run_id: str) -> None:
        """Undo `delete_run`."""

    def log_batch(
        self,
        run_id: str,
        *,
        metrics: Sequence[Metric] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Append metrics, set params (never to another value) and tags, all or nothing.

        Args:
            run_id: an active run, ended or not.
            metrics: any mix of keys; an identical point is stored once.
        """

    def delete_tag(self, run_id: str, key: str) -> None:
        """Remove a tag; NotFoundError if the run has none of this key."""

    def search_runs(
        self,
        experiment_ids: Sequence[str],
        *,
        filter_text: str = "",
        view: ViewType = ViewType.ACTIVE_ONLY,
        order_by: Sequence[str] = (),
        max_results: int = 1000,
        page_token: str | None = None,
    ) -> Page[Run]:
        """Find runs by MLflow's filter language; default order: newest first, then run id."""

    def get_metric_history(
        self,
        run_id: str,
        key: str,
        *,
        max_results: int = 25_000,
        page_token: str | None = None,
    ) -> Page[Metric]:
        """Give all points of one metric by (timestamp, step, value)."""

    def sample_metric_history(
        self,
        run_id: str,
        key: str,
        *,
        most: int,
        steps: tuple[int, int] | None = None,
    ) -> Sequence[Metric]:
        """Give points of one metric at even distances by (step, timestamp, value).

        Args:
            run_id: a run, deleted or not.
            key: the metric's.
            most: give at most so many, from 1 to 2,500; the last point always, the first from 2 on.
            steps: the first and the last one to look at; None for all.
        """

    def log_inputs(
        self,
        run_id: str,
        *,
        datasets: Sequence[DatasetInput] = (),
        models: Sequence[ModelInput] = (),
    ) -> None:
        """Add inputs; a dataset of the same name and digest is stored once for an experiment."""

    def log_outputs(self, run_id: str, models: Sequence[ModelOutput]) -> None:
        """Add logged models that the run made."""

    def search_datasets(self, experiment_ids: Sequence[str]) -> list[DatasetSummary]:
        """Give what datasets runs of some experiments read, each context once; 1,000 at most."""


class LoggedModelStore(Protocol):
    """Logged models."""

    def create_logged_model(
        self,
        experiment_id: str,
        *,
        name: str | None = None,
        model_type: str | None = None,
        source_run_id: str | None = None,
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> LoggedModel:
        """Make a PENDING model with an artifact folder of its own."""

    def get_logged_model(self, model_id: str) -> LoggedModel:
        """Give a model that is not deleted."""

    def finalize_logged_model(self, model_id: str, status: ModelStatus) -> LoggedModel:
        """Say that a model's files are all there, or that they failed."""

    def delete_logged_model(self, model_id: str) -> None:
        """Mark a model as deleted."""

    def set_logged_model_tags(self, model_id: str, tags: Mapping[str, str]) -> None:
        """Set or replace tags."""

    def delete_logged_model_tag(self, model_id: str, key: str) -> None:
        """Remove a tag."""

    def log_logged_model_params(self, model_id: str, params: Mapping[str, str]) -> None:
        """Add params after creation."""

    def search_logged_models(
        self,
        experiment_ids: Sequence[str],
        *,
        filter_text: str = "",
        datasets: Sequence[tuple[str, str | None]] = (),
        order_by: Sequence[tuple[str, bool]] = (),
        max_results: int = 100,
        page_token: str | None = None,
    ) -> Page[LoggedModel]:
        """Find models.

        Args:
            experiment_ids: where to look.
            filter_text: MLflow's filter language.
            datasets: (name, digest) pairs: metric comparisons count on these only.
            order_by: (field, is_ascending) pairs; default newest first.
            max_results: at most this many on a page.
            page_token: of the page before.
        """


class TrackingStore(ExperimentStore, RunStore, LoggedModelStore, Protocol):
    """All of it; `close` gives connections back."""

    @property
    def pace(self) -> Pace:
        """What its calls do to the thread that they run on."""

    def close(self) -> None:
        """Close the store."""
