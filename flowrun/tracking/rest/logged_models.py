"""Logged models behind a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from flowrun.tracking.entities import LoggedModel, ModelStatus, Page
from flowrun.tracking.fields import Fields
from flowrun.tracking.rest.part import RestPart, page_from
from flowrun.tracking.wire import compact, logged_model_from, pairs_json


class RestLoggedModels(RestPart):
    """The `LoggedModelStore` of a server. Source: MLflow REST API, "logged models" (MLflow 3)."""

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
        body = {
            "experiment_id": experiment_id,
            "name": name,
            "model_type": model_type,
            "source_run_id": source_run_id,
            "params": pairs_json(params or {}),
            "tags": pairs_json(tags or {}),
        }
        return self._server.send("POST", "logged-models", body, _model, is_repeatable=False)

    def get_logged_model(self, model_id: str) -> LoggedModel:
        """Give a model that is not deleted."""
        return self._server.get(_path(model_id), {}, _model)

    def finalize_logged_model(self, model_id: str, status: ModelStatus) -> LoggedModel:
        """Say that a model's files are all there, or that they failed."""
        body = {"model_id": model_id, "status": status.value}
        return self._server.send("PATCH", _path(model_id), body, _model)

    def delete_logged_model(self, model_id: str) -> None:
        """Mark a model as deleted."""
        self._server.do("DELETE", _path(model_id), {}, is_repeatable=False)

    def set_logged_model_tags(self, model_id: str, tags: Mapping[str, str]) -> None:
        """Set or replace tags."""
        body = {"model_id": model_id, "tags": pairs_json(tags)}
        self._server.do("PATCH", f"{_path(model_id)}/tags", body)

    def delete_logged_model_tag(self, model_id: str, key: str) -> None:
        """Remove a tag."""
        path = f"{_path(model_id)}/tags/{quote(key, safe='')}"
        self._server.do("DELETE", path, {}, is_repeatable=False)

    def log_logged_model_params(self, model_id: str, params: Mapping[str, str]) -> None:
        """Add params after creation."""
        body = {"model_id": model_id, "params": pairs_json(params)}
        self._server.do("POST", f"{_path(model_id)}/params", body)

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
        """Find models; default order: newest first."""
        body = {
            "experiment_ids": list(experiment_ids),
            "filter": filter_text or None,
            "datasets": [
                compact(dataset_name=name, dataset_digest=digest) for name, digest in datasets
            ],
            "order_by": [
                {"field_name": name, "ascending": is_ascending} for name, is_ascending in order_by
            ],
            "max_results": max_results,
            "page_token": page_token,
        }
        page = page_from("models", logged_model_from)
        return self._server.send("POST", "logged-models/search", body, page)


def _path(model_id: str) -> str:
    return f"logged-models/{quote(model_id, safe='')}"


def _model(fields: Fields) -> LoggedModel:
    return logged_model_from(fields.nested("model"))
