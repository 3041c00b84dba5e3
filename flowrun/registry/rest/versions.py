"""Model versions behind a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flowrun.registry.entities import ModelVersion, Stage, Transition
from flowrun.registry.origin import Origin, VersionLookup, find_origin
from flowrun.registry.rest.models import RestRegisteredModels
from flowrun.registry.rest.reading import USER_TAG, located, read_version, version_from
from flowrun.registry.rest.releases import Act
from flowrun.registry.rest.requests import RestPromotionRequests
from flowrun.tracking.entities import Page
from flowrun.tracking.rest.part import page_from
from flowrun.tracking.wire import pairs_json


class RestRegistryStore(RestRegisteredModels, RestPromotionRequests):
    """The `RegistryStore` of a server. Source: MLflow REST API, "model versions".

    Where a version's files lie is asked for by a call of its own, so versions that come in lists
    of any length have their source there.
    """

    def create_model_version(
        self,
        name: str,
        source: str,
        *,
        run_id: str | None = None,
        run_link: str | None = None,
        model_id: str | None = None,
        description: str = "",
        tags: Mapping[str, str] | None = None,
        user_id: str | None = None,
    ) -> ModelVersion:
        """Make the next version."""
        kept = dict(tags or {})
        origin = Origin(source, run_id, model_id)
        if not self._is_flowrun:
            origin = self._origin(source, run_id, model_id)
            kept |= {USER_TAG: user_id} if user_id else {}
        body = {
            "name": name,
            "source": origin.download_uri,
            "run_id": origin.run_id,
            "run_link": run_link,
            "model_id": origin.model_id,
            "description": description or None,
            "tags": pairs_json(kept),
            "user_id": user_id,
        }
        made = self._server.send(
            "POST", "model-versions/create", body, read_version, is_repeatable=False
        )
        return located(self._server, made)

    def get_model_version(self, name: str, version: str) -> ModelVersion:
        """Give one version."""
        query = {"name": name, "version": version}
        found = self._server.get("model-versions/get", query, read_version)
        return located(self._server, found)

    def get_latest_versions(self, name: str, stages: Sequence[str] = ()) -> list[ModelVersion]:
        """Give the newest version of each stage asked for (default: all that have one)."""
        body = {"name": name, "stages": list(stages)}
        page = page_from("model_versions", version_from)
        found = self._server.send("POST", "registered-models/get-latest-versions", body, page)
        return [located(self._server, version) for version in found.items]

    def search_model_versions(
        self,
        *,
        filter_text: str = "",
        order_by: Sequence[str] = (),
        max_results: int = 10_000,
        page_token: str | None = None,
    ) -> Page[ModelVersion]:
        """Find versions; newest change first."""
        query = {
            "filter": filter_text or None,
            "order_by": list(order_by),
            "max_results": max_results,
            "page_token": page_token,
        }
        page = page_from("model_versions", version_from)
        return self._server.get("model-versions/search", query, page)

    def update_model_version(self, name: str, version: str, description: str) -> ModelVersion:
        """Set the description."""
        body = {"name": name, "version": version, "description": description}
        changed = self._server.send("PATCH", "model-versions/update", body, read_version)
        return located(self._server, changed)

    def transition_stage(
        self,
        name: str,
        version: str,
        stage: Stage,
        *,
        archive_existing: bool = False,
        user_id: str = "",
        reason: str = "",
        run_id: str | None = None,
    ) -> ModelVersion:
        """Move a version to a stage; recorded in the history, as are those it archives."""
        return self.promote(
            name,
            version,
            stage=stage,
            alias=None,
            archive_existing=archive_existing,
            user_id=user_id,
            reason=reason,
            run_id=run_id,
        )

    def promote(
        self,
        name: str,
        version: str,
        *,
        stage: Stage | None,
        alias: str | None,
        archive_existing: bool,
        user_id: str,
        reason: str,
        run_id: str | None,
        holder: str | None = None,
    ) -> ModelVersion:
        """Move stage and alias, with the history; at once where the server is flowrun's."""
        act = Act(user_id, reason, run_id)
        return self._releases.promote(
            name,
            version,
            stage=stage,
            alias=alias,
            archive_existing=archive_existing,
            act=act,
            holder=holder,
        )

    def delete_model_version(self, name: str, version: str) -> None:
        """Remove a version and the aliases that point to it."""
        if not self._is_flowrun:  # MLflow's server would leave its aliases behind
            for alias in self.get_model_version(name, version).aliases:
                self.delete_alias(name, alias)
        self._change("DELETE", "model-versions/delete", {"name": name, "version": version})

    def set_model_version_tag(self, name: str, version: str, key: str, value: str) -> None:
        """Set or replace a tag."""
        body = {"name": name, "version": version, "key": key, "value": value}
        self._server.do("POST", "model-versions/set-tag", body)

    def delete_model_version_tag(self, name: str, version: str, key: str) -> None:
        """Remove a tag; nothing happens if there is none."""
        body = {"name": name, "version": version, "key": key}
        self._server.do("DELETE", "model-versions/delete-tag", body)

    def get_history(self, name: str, version: str | None = None) -> list[Transition]:
        """Give the history of a model or of one version, oldest first."""
        return self._releases.history(name, version)

    def close(self) -> None:
        """Do nothing: the connections are the tracking store's."""

    def _origin(self, source: str, run_id: str | None, model_id: str | None) -> Origin:
        """Resolve a source for MLflow's server, which leaves that to its clients."""
        lookup = VersionLookup(
            self.get_model_version, self.get_version_by_alias, self.get_latest_versions
        )
        found = find_origin(lookup, self._tracking, source, run_id, model_id)
        if found.model_id is None:
            return found
        # MLflow's server resolves this by itself, and it is all it keeps of the model's id.
        return Origin(f"models:/{found.model_id}", found.run_id, found.model_id)
