"""Experiments behind a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flowrun.errors import NotFoundError
from flowrun.tracking.entities import Experiment, Page, ViewType
from flowrun.tracking.fields import Fields
from flowrun.tracking.rest.part import RestPart, page_from
from flowrun.tracking.wire import experiment_from, pairs_json


class RestExperiments(RestPart):
    """The `ExperimentStore` of a server. Source: MLflow REST API, "experiments"."""

    def create_experiment(
        self,
        name: str,
        *,
        artifact_location: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Make an experiment and give its id."""
        body = {
            "name": name,
            "artifact_location": artifact_location,
            "tags": pairs_json(tags or {}),
        }
        return self._server.send(
            "POST", "experiments/create", body, _experiment_id, is_repeatable=False
        )

    def get_experiment(self, experiment_id: str) -> Experiment:
        """Give an experiment, deleted or not."""
        return self._server.get("experiments/get", {"experiment_id": experiment_id}, _experiment)

    def get_experiment_by_name(self, name: str) -> Experiment | None:
        """Give the experiment of this name, deleted or not; None if there is none."""
        query = {"experiment_name": name}
        try:
            return self._server.get("experiments/get-by-name", query, _experiment)
        except NotFoundError:
            return None

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
        body = {
            "view_type": view.value,
            "filter": filter_text or None,
            "order_by": list(order_by),
            "max_results": max_results,
            "page_token": page_token,
        }
        return self._server.send(
            "POST", "experiments/search", body, page_from("experiments", experiment_from)
        )

    def rename_experiment(self, experiment_id: str, name: str) -> None:
        """Give an active experiment another name."""
        body = {"experiment_id": experiment_id, "new_name": name}
        self._server.do("POST", "experiments/update", body)

    def delete_experiment(self, experiment_id: str) -> None:
        """Mark an experiment and its active runs as deleted."""
        self._change("experiments/delete", {"experiment_id": experiment_id})

    def restore_experiment(self, experiment_id: str) -> None:
        """Undo `delete_experiment`."""
        self._change("experiments/restore", {"experiment_id": experiment_id})

    def set_experiment_tag(self, experiment_id: str, key: str, value: str) -> None:
        """Set or replace a tag of an active experiment."""
        body = {"experiment_id": experiment_id, "key": key, "value": value}
        self._server.do("POST", "experiments/set-experiment-tag", body)

    def delete_experiment_tag(self, experiment_id: str, key: str) -> None:
        """Remove a tag of an active experiment; NotFoundError if it has none of this key."""
        body = {"experiment_id": experiment_id, "key": key}
        self._change("experiments/delete-experiment-tag", body)


def _experiment_id(fields: Fields) -> str:
    return fields.text("experiment_id")


def _experiment(fields: Fields) -> Experiment:
    return experiment_from(fields.nested("experiment"))
