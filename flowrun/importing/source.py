"""The promise of a store to import from; it is only ever read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from flowrun.registry.entities import ModelVersion, RegisteredModel
from flowrun.tracking.artifacts import Artifacts
from flowrun.tracking.entities import Experiment, LifecycleStage, LoggedModel
from flowrun.tracking.sql.import_rows import FullRun
from flowrun.valueclass import valueclass


@valueclass
class FoundModel:
    """A logged model, deleted or not."""

    model: LoggedModel
    stage: LifecycleStage


@valueclass
class FoundRegisteredModel:
    """A registered model with all its versions."""

    model: RegisteredModel
    versions: tuple[ModelVersion, ...]
    last_version: int
    """The highest number ever given, also to a version since deleted."""


class Source(Protocol):
    """A store of MLflow's, of any kind. Deleted experiments and runs are part of it.

    What can't be read whole is reported to whoever opened the source, with file and line or table
    and id, and left out.
    """

    @property
    def uri(self) -> str:
        """Where it is, for people."""

    def notes(self) -> Sequence[str]:
        """Tell what it holds that is not imported."""

    def experiments(self) -> Sequence[Experiment]:
        """Give all experiments."""

    def run_roots(self, experiment_id: str) -> Mapping[str, str]:
        """Give the ids of an experiment's runs, with their artifact URIs."""

    def runs(self, experiment_id: str, run_ids: Sequence[str]) -> Iterator[FullRun]:
        """Read runs.

        A run's `metrics` are empty: its history, each point once, says it all. Reading a history
        raises InvalidValueError where the source is damaged.
        """

    def logged_models(self, experiment_id: str) -> Iterator[FoundModel]:
        """Give the logged models of an experiment."""

    def registered_models(self) -> Iterator[FoundRegisteredModel]:
        """Give all registered models."""

    def open_artifacts(self, uri: str) -> Artifacts:
        """Open the artifacts that a run or model of this source has at a URI.

        Raises:
            InvalidValueError: the URI leads to a place that is not the source's own.
        """

    def close(self) -> None:
        """Close the source."""
