"""The promise of a model registry's store.

Every method is all or nothing and may be called from any thread.
Source: MLflow REST API, registered-models and model-versions; `promote` and the history are
flowrun's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from flowrun.registry.entities import ModelVersion, RegisteredModel, Stage, Transition
from flowrun.registry.requests import (
    Asked,
    Decision,
    Move,
    PromotionRequest,
    RequestStatus,
)
from flowrun.tracking.entities import Page


class RegisteredModelStore(Protocol):
    """Registered models and their aliases."""

    def create_registered_model(
        self, name: str, *, description: str = "", tags: Mapping[str, str] | None = None
    ) -> RegisteredModel:
        """Make one; AlreadyExistsError if the name is taken."""

    def get_registered_model(self, name: str) -> RegisteredModel:
        """Give one with its aliases and latest versions."""

    def search_registered_models(
        self,
        *,
        filter_text: str = "",
        order_by: Sequence[str] = (),
        max_results: int = 100,
        page_token: str | None = None,
    ) -> Page[RegisteredModel]:
        """Find models; by name. Prompts are hidden unless the filter asks for them."""

    def rename_registered_model(self, name: str, new_name: str) -> RegisteredModel:
        """Rename one, with its versions and history."""

    def update_registered_model(self, name: str, description: str) -> RegisteredModel:
        """Set the description."""

    def delete_registered_model(self, name: str) -> None:
        """Remove one with its versions."""

    def set_registered_model_tag(self, name: str, key: str, value: str) -> None:
        """Set or replace a tag."""

    def delete_registered_model_tag(self, name: str, key: str) -> None:
        """Remove a tag; nothing happens if there is none."""

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
        """Point an alias to a version; recorded in the history."""

    def delete_alias(self, name: str, alias: str, *, user_id: str = "") -> None:
        """Remove an alias; recorded in the history. Nothing happens if there is none."""

    def get_version_by_alias(self, name: str, alias: str) -> ModelVersion:
        """Give the version an alias points to; InvalidValueError, as in MLflow, if there is none.

        The alias `latest` is the newest version of all.
        """


class ModelVersionStore(Protocol):
    """Versions, their stages and history."""

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
        """Make the next version; numbers are never given twice, also not after a deletion.

        A source `models:/...` or `runs:/...` is resolved to the artifact URI where it lies now; a
        run that is not given is taken from the logged model.
        """

    def get_model_version(self, name: str, version: str) -> ModelVersion:
        """Give one version."""

    def get_latest_versions(self, name: str, stages: Sequence[str] = ()) -> list[ModelVersion]:
        """Give the newest version of each stage asked for (default: all that have one)."""

    def search_model_versions(
        self,
        *,
        filter_text: str = "",
        order_by: Sequence[str] = (),
        max_results: int = 10_000,
        page_token: str | None = None,
    ) -> Page[ModelVersion]:
        """Find versions; newest change first. Prompts' are hidden unless the filter asks."""

    def update_model_version(self, name: str, version: str, description: str) -> ModelVersion:
        """Set the description."""

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
        """Move stage and alias in one transaction, with the history.

        Args:
            holder: the version that was in the place (the stage's, else the alias') when the caller
                decided, '' for none; None: whoever it is.

        Raises:
            InvalidStateError: another version holds the place now.
            PermissionDeniedError: the place is entered by an approved request only; see
                `registry/approval.py`.
        """

    def delete_model_version(self, name: str, version: str) -> None:
        """Remove a version and the aliases that point to it."""

    def set_model_version_tag(self, name: str, version: str, key: str, value: str) -> None:
        """Set or replace a tag."""

    def delete_model_version_tag(self, name: str, version: str, key: str) -> None:
        """Remove a tag; nothing happens if there is none."""

    def get_history(self, name: str, version: str | None = None) -> list[Transition]:
        """Give the history of a model or of one version, oldest first."""


class PromotionRequestStore(Protocol):
    """Requests to move a version, which somebody else decides; and the way back."""

    @property
    def keeps_requests(self) -> bool:
        """False: the calls about requests are refused with `UnsupportedError`."""

    def request_promotion(
        self, name: str, version: str, move: Move, asked: Asked
    ) -> PromotionRequest:
        """Ask that a version be moved; the same again gives the request that is pending."""

    def get_promotion_request(self, request_id: str) -> PromotionRequest:
        """Give a request as it is now."""

    def list_promotion_requests(
        self, name: str | None = None, status: RequestStatus | None = None
    ) -> list[PromotionRequest]:
        """Give requests, oldest first; by default all."""

    def decide_promotion(self, request_id: str, decision: Decision) -> PromotionRequest:
        """Approve a request, which moves its version at once, or reject it.

        Raises:
            InvalidStateError: it is not pending any more; or another version holds the place than
                the one with which its condition was looked at.
            PermissionDeniedError: the rules, or the request, name others.
        """

    def roll_back(
        self,
        name: str,
        *,
        stage: Stage | None,
        alias: str | None,
        user_id: str,
        reason: str,
        expected: str | None = None,
    ) -> ModelVersion:
        """Take the last promotion to a place back, stage and alias together; see `rollback.py`.

        Args:
            name: of the model.
            stage: whose last promotion it is.
            alias: the same.
            user_id: who asks for it.
            reason: why; kept in the history.
            expected: the version that was looked at; None: whichever it is.

        Raises:
            InvalidStateError: there is nothing to go back to, or it is another one than expected.
            PermissionDeniedError: the place is guarded, and its rule names others.
        """


class RegistryStore(RegisteredModelStore, ModelVersionStore, PromotionRequestStore, Protocol):
    """All of it."""

    def close(self) -> None:
        """Close the store."""
