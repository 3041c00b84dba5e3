from __future__ import annotations

import json

from flowrun.registry.webhooks import Delivery, Webhook, WebhookEvent
from flowrun.server.webhooks.examples import EXAMPLES
from flowrun.server.webhooks.signing import headers_of, message_of

WEBHOOK = Webhook("w", "n", "https://example.org", tuple(WebhookEvent), 1, 1)


def delivery(pk: int = 7, attempts: int = 1) -> Delivery:
    return Delivery(pk, WEBHOOK, WebhookEvent.VERSION_TAG_SET, '{"name": "wine"}', 1_500, attempts)


def test_a_body_says_what_happened_and_when() -> None:
    assert json.loads(message_of(delivery()).body) == {
        "entity": "model_version_tag",
        "action": "set",
        "timestamp": "1970-01-01T00:00:01.500000+00:00",
        "data": {"name": "wine"},
    }


def test_a_delivery_has_one_id_at_each_try_and_no_other_has_it() -> None:
    first, again = message_of(delivery(attempts=1)), message_of(delivery(attempts=2))
    assert first == again
    assert first.delivery_id != message_of(delivery(pk=8)).delivery_id


def test_the_signature_is_the_one_that_mlflow_makes() -> None:
    message = message_of(delivery())
    headers = headers_of(message, "sesame", 42)
    assert headers["X-MLflow-Timestamp"] == "42"
    assert headers["X-MLflow-Delivery-Id"] == message.delivery_id
    # Made by MLflow 3.17 of the same id, time and body.
    assert headers["X-MLflow-Signature"] == "v1,2qz5cG20iNBYaR6fDInCWBC3XTZJ2maL7CSDFbPcWC8="
    assert "X-MLflow-Signature" not in headers_of(message, None, 42)


def test_there_is_an_example_of_every_event() -> None:
    assert set(EXAMPLES) == set(WebhookEvent)
