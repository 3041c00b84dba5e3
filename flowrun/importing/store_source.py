"""Runs, models and registry behind a server that speaks MLflow's protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from urllib.parse import urlsplit

from flowrun.errors import InvalidValueError, NotFoundError
from flowrun.importing.places import ArtifactPlaces
from flowrun.importing.source import FoundModel, FoundRegisteredModel
from flowrun.registry.entities import RegisteredModel
from flowrun.stores import Stores, all_items
from flowrun.tracking.artifacts import PROXIED, Artifacts
from flowrun.tracking.entities import Experiment, LifecycleStage, Metric, Page, Run, ViewType
from flowrun.tracking.sql.import_rows import FullRun

_PROMPTS = "tags.`mlflow.prompt.is_prompt` = 'true'"
_MODELS_AT_ONCE, _VERSIONS_AT_ONCE = 100, 1000


class StoreSource:
    """A `Source` behind the calls of a store; the store is somebody else's to close."""

    def __init__(
        self, stores: Stores, places: ArtifactPlaces, on_problem: Callable[[str], None]
    ) -> None:
        """Read from a store.

        Args:
            stores: the server's.
            places: where those of its artifacts may be read that it does not hand out itself.
            on_problem: told of each thing that is left out.
        """
        self.uri = stores.uri
        self._stores = stores
        self._places = places
        self._on_problem = on_problem

    def notes(self) -> Sequence[str]:
        """Tell what a server keeps to itself."""
        return ["traces, deleted logged models and the server's settings are not imported"]

    def experiments(self) -> Sequence[Experiment]:
        """Give all experiments."""
        search = self._stores.tracking.search_experiments
        return all_items(lambda token: search(view=ViewType.ALL, page_token=token))

    def run_roots(self, experiment_id: str) -> Mapping[str, str]:
        """Give the ids of an experiment's runs, with their artifact URIs."""
        search = self._stores.tracking.search_runs
        runs = all_items(lambda token: search([experiment_id], view=ViewType.ALL, page_token=token))
        return {run.info.run_id: run.info.artifact_uri for run in runs}

    def runs(self, experiment_id: str, run_ids: Sequence[str]) -> Iterator[FullRun]:
        """Read runs, with their histories, which wait in memory until they are written."""
        del experiment_id
        for run_id in run_ids:
            try:
                run = self._stores.tracking.get_run(run_id)
                points = [point for key in run.metrics for point in self._history(run, key)]
            except (NotFoundError, InvalidValueError) as error:
                self._on_problem(f"run {run_id}: {error.message}")
            else:
                yield FullRun(run, partial(list, points))

    def logged_models(self, experiment_id: str) -> Iterator[FoundModel]:
        """Give the logged models of an experiment that are not deleted."""
        search = self._stores.tracking.search_logged_models
        for model in all_items(
            lambda token: search([experiment_id], max_results=_MODELS_AT_ONCE, page_token=token)
        ):
            yield FoundModel(model, LifecycleStage.ACTIVE)

    def registered_models(self) -> Iterator[FoundRegisteredModel]:
        """Give all registered models, prompts among them."""
        for filter_text in ("", _PROMPTS):
            for model in all_items(partial(self._found_models, filter_text)):
                yield self._registered_model(model.name)

    def open_artifacts(self, uri: str) -> Artifacts:
        """Open artifacts that the server hands out, or that lie where the user said."""
        if urlsplit(uri).scheme == PROXIED:
            return self._stores.open_artifacts(uri)
        return self._places.open(uri)

    def close(self) -> None:
        """Do nothing: who opened the stores closes them."""

    def _history(self, run: Run, key: str) -> list[Metric]:
        history = self._stores.tracking.get_metric_history
        return all_items(lambda token: history(run.info.run_id, key, page_token=token))

    def _found_models(self, filter_text: str, token: str | None) -> Page[RegisteredModel]:
        return self._stores.registry.search_registered_models(
            filter_text=filter_text, max_results=_MODELS_AT_ONCE, page_token=token
        )

    def _registered_model(self, name: str) -> FoundRegisteredModel:
        registry = self._stores.registry
        model = registry.get_registered_model(name)
        quoted = name.replace("'", "''")
        # The second part finds a prompt's versions too, which are hidden otherwise.
        filter_text = f"name = '{quoted}'"
        if model.tags.get("mlflow.prompt.is_prompt") == "true":
            filter_text += f" AND {_PROMPTS}"
        found = all_items(
            lambda token: registry.search_model_versions(
                filter_text=filter_text, max_results=_VERSIONS_AT_ONCE, page_token=token
            )
        )
        # One by one: only so does a server say where the files of each lie.
        versions = [registry.get_model_version(name, each.version) for each in found]
        versions.sort(key=lambda version: int(version.version))
        last = max((int(version.version) for version in versions), default=0)
        return FoundRegisteredModel(model, tuple(versions), last)
