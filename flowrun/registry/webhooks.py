"""Webhooks: who wants to be told which changes of the registry, and what is still to be told.

Times are milliseconds since the Unix epoch, UTC.
Source: MLflow REST API, webhooks; `webhooks.proto` and `mlflow/webhooks/types.py` of MLflow 3.17.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from enum import StrEnum
from typing import Protocol, runtime_checkable

from flowrun.tracking.entities import Page
from flowrun.valueclass import valueclass


class WebhookStatus(StrEnum):
    """Whether a webhook is told anything."""

    ACTIVE = "ACTIVE"
    DISABLED = "DISABLED"


class WebhookEvent(StrEnum):
    """What can be told: an entity and what happened to it."""

    MODEL_CREATED = "registered_model.created"
    VERSION_CREATED = "model_version.created"
    VERSION_TAG_SET = "model_version_tag.set"
    VERSION_TAG_DELETED = "model_version_tag.deleted"
    ALIAS_CREATED = "model_version_alias.created"
    ALIAS_DELETED = "model_version_alias.deleted"
    PROMPT_CREATED = "prompt.created"
    PROMPT_VERSION_CREATED = "prompt_version.created"
    PROMPT_TAG_SET = "prompt_tag.set"
    PROMPT_TAG_DELETED = "prompt_tag.deleted"
    PROMPT_VERSION_TAG_SET = "prompt_version_tag.set"
    PROMPT_VERSION_TAG_DELETED = "prompt_version_tag.deleted"
    PROMPT_ALIAS_CREATED = "prompt_alias.created"
    PROMPT_ALIAS_DELETED = "prompt_alias.deleted"
    STAGE_SET = "model_version_stage.set"
    """This and what follows is flowrun's own: MLflow's client does not know the words."""
    REQUEST_CREATED = "promotion_request.created"
    REQUEST_APPROVED = "promotion_request.approved"
    REQUEST_REJECTED = "promotion_request.rejected"

    @property
    def entity(self) -> str:
        """The first half, such as `model_version_tag`."""
        return self.value.partition(".")[0]

    @property
    def action(self) -> str:
        """The second half, such as `set`."""
        return self.value.partition(".")[2]


@valueclass
class Webhook:
    """An address and the events that are told to it."""

    webhook_id: str
    name: str
    url: str
    events: tuple[WebhookEvent, ...]
    creation_time_ms: int
    last_update_time_ms: int
    description: str = ""
    status: WebhookStatus = WebhookStatus.ACTIVE
    sealed_secret: str | None = field(default=None, repr=False)
    """What signs the deliveries, encrypted by whoever made the webhook; the store can't read it."""


@valueclass
class Delivery:
    """An event on its way to one webhook."""

    delivery_pk: int
    """Counts up in the order of the events."""
    webhook: Webhook
    event: WebhookEvent
    data: str
    """What happened: a JSON object."""
    time_ms: int
    """When it happened."""
    attempts: int
    """How often it was tried, this time included."""


@runtime_checkable
class WebhookStore(Protocol):
    """Webhooks, and the deliveries that are due.

    The registry's changes are written together with their deliveries, in one transaction: what was
    changed will be told, whatever process changed it and however it ended.
    """

    def create_webhook(
        self,
        webhook_id: str,
        *,
        name: str,
        url: str,
        events: Sequence[WebhookEvent],
        description: str = "",
        sealed_secret: str | None = None,
        status: WebhookStatus = WebhookStatus.ACTIVE,
    ) -> Webhook:
        """Make one; names need not differ."""

    def get_webhook(self, webhook_id: str) -> Webhook:
        """Give one; NotFoundError if there is none."""

    def list_webhooks(
        self, *, max_results: int = 100, page_token: str | None = None
    ) -> Page[Webhook]:
        """Give all, newest first."""

    def update_webhook(
        self,
        webhook_id: str,
        *,
        name: str | None = None,
        url: str | None = None,
        events: Sequence[WebhookEvent] = (),
        description: str | None = None,
        sealed_secret: str | None = None,
        status: WebhookStatus | None = None,
    ) -> Webhook:
        """Change what is given; None, or no events, leaves a field as it is."""

    def delete_webhook(self, webhook_id: str) -> None:
        """Remove one with what was still to be told to it."""

    def webhooks_with_due_deliveries(self) -> list[str]:
        """Give the ids of the active webhooks that something should be told now."""

    def claim_delivery(self, webhook_id: str, lease_ms: int) -> Delivery | None:
        """Give the oldest delivery that is due to a webhook, which is then nobody else's.

        Args:
            webhook_id: to whom.
            lease_ms: the time after which it is due again, if it is neither finished nor postponed:
                whoever had it has died.
        """

    def finish_delivery(self, delivery_pk: int) -> None:
        """Forget a delivery: it was told, or given up."""

    def postpone_delivery(self, delivery_pk: int, delay_ms: int) -> None:
        """Let a delivery be due again later."""
