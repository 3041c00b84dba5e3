"""Registered models and their aliases behind a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flowrun.registry.entities import ModelVersion, RegisteredModel
from flowrun.registry.rest.part import RestRegistryPart
from flowrun.registry.rest.reading import located, read_model, read_version
from flowrun.registry.rest.releases import Act
from flowrun.registry.wire import registered_model_from
from flowrun.tracking.entities import Page
from flowrun.tracking.rest.part import page_from
from flowrun.tracking.wire import pairs_json


class RestRegisteredModels(RestRegistryPart):
    """The `RegisteredModelStore` of a server. Source: MLflow REST API, "registered models"."""

    def create_registered_model(
        self, name: str, *, description: str = "", tags: Mapping[str, str] | None = None
    ) -> RegisteredModel:
        """Make one; AlreadyExistsError if the name is taken."""
        body = {
            "name": name,
            "description": description or None,
            "tags": pairs_json(tags or {}),
        }
        return self._server.send(
            "POST", "registered-models/create", body, read_model, is_repeatable=False
        )

    def get_registered_model(self, name: str) -> RegisteredModel:
        """Give one with its aliases and latest versions."""
        return self._server.get("registered-models/get", {"name": name}, read_model)

    def search_registered_models(
        self,
        *,
        filter_text: str = "",
        order_by: Sequence[str] = (),
        max_results: int = 100,
        page_token: str | None = None,
    ) -> Page[RegisteredModel]:
        """Find models; by name."""
        query = {
            "filter": filter_text or None,
            "order_by": list(order_by),
            "max_results": max_results,
            "page_token": page_token,
        }
        page = page_from("registered_models", registered_model_from)
        return self._server.get("registered-models/search", query, page)

    def rename_registered_model(self, name: str, new_name: str) -> RegisteredModel:
        """Rename one, with its versions and history."""
        body = {"name": name, "new_name": new_name}
        return self._server.send(
            "POST", "registered-models/rename", body, read_model, is_repeatable=False
        )

    def update_registered_model(self, name: str, description: str) -> RegisteredModel:
        """Set the description."""
        body = {"name": name, "description": description}
        return self._server.send("PATCH", "registered-models/update", body, read_model)

    def delete_registered_model(self, name: str) -> None:
        """Remove one with its versions."""
        self._change("DELETE", "registered-models/delete", {"name": name})

    def set_registered_model_tag(self, name: str, key: str, value: str) -> None:
        """Set or replace a tag."""
        body = {"name": name, "key": key, "value": value}
        self._server.do("POST", "registered-models/set-tag", body)

    def delete_registered_model_tag(self, name: str, key: str) -> None:
        """Remove a tag; nothing happens if there is none."""
        self._server.do("DELETE", "registered-models/delete-tag", {"name": name, "key": key})

    def set_alias(
        self,
        name: str,
        alias: str,
        version: str,
        *,
        user_id: str = "",
        reason: str = "",
        run_id: str | None = None,
    ) -> None:
        """Point an alias to a version."""
        act = Act(user_id, reason, run_id)
        self._releases.promote(
            name, version, stage=None, alias=alias, archive_existing=False, act=act, holder=None
        )

    def delete_alias(self, name: str, alias: str, *, user_id: str = "") -> None:
        """Remove an alias; nothing happens if there is none."""
        self._releases.delete_alias(name, alias, user_id)

    def get_version_by_alias(self, name: str, alias: str) -> ModelVersion:
        """Give the version an alias points to."""
        query = {"name": name, "alias": alias}
        version = self._server.get("registered-models/alias", query, read_version)
        return located(self._server, version)
