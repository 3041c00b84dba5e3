"""The promises of `WebhookStore`, and which changes of the registry are told.

Fixtures: `store`, an empty registry that keeps webhooks too.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from flowrun.errors import NotFoundError
from flowrun.registry.entities import Stage
from flowrun.registry.requests import Asked, Decision, Move
from flowrun.registry.store import RegistryStore
from flowrun.registry.webhooks import WebhookEvent, WebhookStatus, WebhookStore

ALL = tuple(WebhookEvent)
PROMPT = {"mlflow.prompt.is_prompt": "true", "_mlflow_prompt_type": "text"}
LEASE_MS = 60_000


def as_webhooks(store: RegistryStore) -> WebhookStore:
    assert isinstance(store, WebhookStore)
    return store


@pytest.fixture
def webhooks(store: RegistryStore) -> WebhookStore:
    return as_webhooks(store)


def listen(
    webhooks: WebhookStore, webhook_id: str = "w", events: Sequence[WebhookEvent] = ALL
) -> None:
    webhooks.create_webhook(webhook_id, name="n", url="https://example.org", events=events)


def told(webhooks: WebhookStore, webhook_id: str = "w") -> list[tuple[str, Any]]:
    """Take all that is due to a webhook: event and data."""
    found = []
    while delivery := webhooks.claim_delivery(webhook_id, LEASE_MS):
        found.append((delivery.event.value, json.loads(delivery.data)))
        webhooks.finish_delivery(delivery.delivery_pk)
    return found


class WebhookStoreContract:
    """The promises of `WebhookStore`."""

    def test_a_webhook_is_given_back_without_its_secret_in_sight(
        self, webhooks: WebhookStore
    ) -> None:
        made = webhooks.create_webhook(
            "w",
            name="n",
            url="https://example.org/x",
            events=[WebhookEvent.VERSION_CREATED, WebhookEvent.ALIAS_CREATED],
            description="d",
            sealed_secret="sealed",
        )
        assert webhooks.get_webhook("w") == made
        assert made.events == (WebhookEvent.VERSION_CREATED, WebhookEvent.ALIAS_CREATED)
        assert (made.status, made.sealed_secret) == (WebhookStatus.ACTIVE, "sealed")
        assert "sealed" not in repr(made)

    def test_an_update_changes_only_what_is_given(self, webhooks: WebhookStore) -> None:
        listen(webhooks)
        before = webhooks.get_webhook("w")
        changed = webhooks.update_webhook("w", description="new", status=WebhookStatus.DISABLED)
        assert (changed.description, changed.status) == ("new", WebhookStatus.DISABLED)
        assert (changed.name, changed.url, changed.events) == ("n", before.url, before.events)
        assert changed.last_update_time_ms > before.last_update_time_ms
        assert webhooks.update_webhook("w", events=[ALL[0]]).events == (ALL[0],)

    def test_webhooks_are_listed_newest_first_in_pages(self, webhooks: WebhookStore) -> None:
        for webhook_id in "abc":
            listen(webhooks, webhook_id)
        first = webhooks.list_webhooks(max_results=2)
        assert [item.webhook_id for item in first.items] == ["c", "b"]
        rest = webhooks.list_webhooks(max_results=2, page_token=first.next_page_token)
        assert [item.webhook_id for item in rest.items] == ["a"]
        assert rest.next_page_token is None

    def test_what_is_not_there_is_not_found(self, webhooks: WebhookStore) -> None:
        for call in (webhooks.get_webhook, webhooks.delete_webhook, webhooks.update_webhook):
            with pytest.raises(NotFoundError, match="Webhook with ID x not found"):
                call("x")

    def test_each_change_of_a_model_is_told(
        self, store: RegistryStore, webhooks: WebhookStore
    ) -> None:
        listen(webhooks)
        store.create_registered_model("wine", description="red", tags={"a": "1"})
        store.create_model_version("wine", "s3://b/1", run_id="r", tags={"k": "v"})
        store.set_registered_model_tag("wine", "b", "2")
        store.set_model_version_tag("wine", "1", "q", "good")
        store.delete_model_version_tag("wine", "1", "q")
        store.set_alias("wine", "best", "1")
        store.delete_alias("wine", "best")
        version = {"name": "wine", "version": "1"}
        assert told(webhooks) == [
            (
                "registered_model.created",
                {"name": "wine", "tags": {"a": "1"}, "description": "red"},
            ),
            (
                "model_version.created",
                {
                    **version,
                    "source": "s3://b/1",
                    "run_id": "r",
                    "tags": {"k": "v"},
                    "description": None,
                },
            ),
            ("model_version_tag.set", {**version, "key": "q", "value": "good"}),
            ("model_version_tag.deleted", {**version, "key": "q"}),
            ("model_version_alias.created", {**version, "alias": "best"}),
            ("model_version_alias.deleted", {"name": "wine", "alias": "best"}),
        ]

    def test_each_change_of_a_prompt_is_told_as_one_of_a_prompt(
        self, store: RegistryStore, webhooks: WebhookStore
    ) -> None:
        listen(webhooks)
        store.create_registered_model("hi", tags={**PROMPT, "a": "1"})
        tags = {**PROMPT, "mlflow.prompt.text": "Hello", "k": "v"}
        store.create_model_version("hi", "prompt-template", tags=tags, description="first")
        store.set_registered_model_tag("hi", "b", "2")
        store.delete_registered_model_tag("hi", "b")
        store.set_model_version_tag("hi", "1", "q", "good")
        store.delete_model_version_tag("hi", "1", "q")
        store.set_alias("hi", "best", "1")
        store.delete_alias("hi", "best")
        version = {"name": "hi", "version": "1"}
        assert told(webhooks) == [
            ("prompt.created", {"name": "hi", "tags": {"a": "1"}, "description": ""}),
            (
                "prompt_version.created",
                {**version, "template": "Hello", "tags": {"k": "v"}, "description": "first"},
            ),
            ("prompt_tag.set", {"name": "hi", "key": "b", "value": "2"}),
            ("prompt_tag.deleted", {"name": "hi", "key": "b"}),
            ("prompt_version_tag.set", {**version, "key": "q", "value": "good"}),
            ("prompt_version_tag.deleted", {**version, "key": "q"}),
            ("prompt_alias.created", {**version, "alias": "best"}),
            ("prompt_alias.deleted", {"name": "hi", "alias": "best"}),
        ]

    def test_a_promotion_tells_stage_and_alias(
        self, store: RegistryStore, webhooks: WebhookStore
    ) -> None:
        store.create_registered_model("wine")
        store.create_model_version("wine", "s3://b/1")
        listen(webhooks)
        store.promote(
            "wine",
            "1",
            stage=Stage.PRODUCTION,
            alias="champion",
            archive_existing=True,
            user_id="",
            reason="",
            run_id=None,
        )
        assert told(webhooks) == [
            (
                "model_version_stage.set",
                {
                    "name": "wine",
                    "version": "1",
                    "from_stage": "None",
                    "to_stage": "Production",
                },
            ),
            (
                "model_version_alias.created",
                {"name": "wine", "alias": "champion", "version": "1"},
            ),
        ]

    def test_requests_and_decisions_are_told(
        self, store: RegistryStore, webhooks: WebhookStore
    ) -> None:
        store.create_registered_model("wine")
        store.create_model_version("wine", "s3://b/1")
        listen(webhooks)
        for is_approved in (False, True):
            request = store.request_promotion("wine", "1", Move(alias="best"), Asked("ada"))
            decision = Decision(is_approved, "bob", "because")
            store.decide_promotion(request.request_id, decision)
        events = told(webhooks)
        assert [event for event, _ in events] == [
            "promotion_request.created",
            "promotion_request.rejected",
            "promotion_request.created",
            "model_version_alias.created",
            "promotion_request.approved",
        ]
        assert events[-1][1] == {
            "request_id": "2",
            "name": "wine",
            "version": "1",
            "to_stage": None,
            "alias": "best",
            "requested_by": "ada",
            "reason": "",
            "run_id": None,
            "decided_by": "bob",
            "comment": "because",
        }

    def test_removing_what_is_not_there_is_not_told(
        self, store: RegistryStore, webhooks: WebhookStore
    ) -> None:
        store.create_registered_model("wine")
        store.create_model_version("wine", "s3://b/1")
        listen(webhooks)
        store.delete_registered_model_tag("wine", "nothing")
        store.delete_model_version_tag("wine", "1", "nothing")
        store.delete_alias("wine", "nobody")
        assert told(webhooks) == []

    def test_only_active_webhooks_are_told_and_only_what_they_listen_to(
        self, store: RegistryStore, webhooks: WebhookStore
    ) -> None:
        listen(webhooks, "models", [WebhookEvent.MODEL_CREATED])
        listen(webhooks, "aliases", [WebhookEvent.ALIAS_CREATED])
        listen(webhooks, "disabled")
        webhooks.update_webhook("disabled", status=WebhookStatus.DISABLED)
        store.create_registered_model("wine")
        assert webhooks.webhooks_with_due_deliveries() == ["models"]
        assert len(told(webhooks, "models")) == 1
        assert told(webhooks, "aliases") == told(webhooks, "disabled") == []

    def test_a_change_that_fails_is_not_told(
        self, store: RegistryStore, webhooks: WebhookStore
    ) -> None:
        store.create_registered_model("wine")
        listen(webhooks)
        with pytest.raises(NotFoundError):
            store.set_alias("wine", "best", "7")
        assert told(webhooks) == []

    def test_a_claimed_delivery_is_nobody_elses_until_its_lease_ends(
        self, store: RegistryStore, webhooks: WebhookStore
    ) -> None:
        listen(webhooks)
        store.create_registered_model("wine")
        first = webhooks.claim_delivery("w", lease_ms=0)
        assert first is not None
        again = webhooks.claim_delivery("w", LEASE_MS)
        assert again is not None
        assert (again.delivery_pk, first.attempts, again.attempts) == (first.delivery_pk, 1, 2)
        assert webhooks.claim_delivery("w", LEASE_MS) is None
        assert webhooks.webhooks_with_due_deliveries() == []

    def test_a_postponed_delivery_comes_again_later(
        self, store: RegistryStore, webhooks: WebhookStore
    ) -> None:
        listen(webhooks)
        store.create_registered_model("wine")
        delivery = webhooks.claim_delivery("w", LEASE_MS)
        assert delivery is not None
        webhooks.postpone_delivery(delivery.delivery_pk, LEASE_MS)
        assert webhooks.claim_delivery("w", LEASE_MS) is None
        webhooks.postpone_delivery(delivery.delivery_pk, -1)
        assert webhooks.claim_delivery("w", LEASE_MS) is not None

    def test_a_deleted_webhook_takes_its_deliveries_along(
        self, store: RegistryStore, webhooks: WebhookStore
    ) -> None:
        listen(webhooks)
        store.create_registered_model("wine")
        webhooks.delete_webhook("w")
        assert webhooks.webhooks_with_due_deliveries() == []
        listen(webhooks)
        assert told(webhooks) == []

    def test_no_more_than_a_thousand_deliveries_wait_for_a_webhook(
        self, store: RegistryStore, webhooks: WebhookStore
    ) -> None:
        store.create_registered_model("wine")
        store.create_model_version("wine", "s3://b/1")
        listen(webhooks)
        for number in range(1001):
            store.set_model_version_tag("wine", "1", "n", str(number))
        waiting = told(webhooks)
        assert len(waiting) == 1000
        assert waiting[-1][1]["value"] == "999"
