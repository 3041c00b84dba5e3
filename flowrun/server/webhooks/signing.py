"""What a delivery consists of: body and headers, signed as MLflow signs them.

Source: mlflow/webhooks/delivery.py of MLflow 3.17; https://www.standardwebhooks.com.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import uuid
from datetime import UTC, datetime

from flowrun.registry.webhooks import Delivery, WebhookEvent
from flowrun.valueclass import valueclass


@valueclass
class Message:
    """One delivery before it is signed."""

    delivery_id: str
    """The same at each try, so that a receiver can tell a repetition."""
    body: str


def message_of(delivery: Delivery) -> Message:
    """Give what tells an event to a webhook."""
    namespace = uuid.uuid5(uuid.NAMESPACE_URL, f"webhook:{delivery.webhook.webhook_id}")
    delivery_id = str(uuid.uuid5(namespace, str(delivery.delivery_pk)))
    return Message(
        delivery_id, body_text(delivery.event, delivery.time_ms, json.loads(delivery.data))
    )


def body_text(event: WebhookEvent, time_ms: int, data: object) -> str:
    """Give a delivery's body: what happened, to what, and when."""
    time = datetime.fromtimestamp(time_ms / 1000, UTC).isoformat()
    return json.dumps(
        {"entity": event.entity, "action": event.action, "timestamp": time, "data": data}
    )


def headers_of(message: Message, secret: str | None, time_s: int) -> dict[str, str]:
    """Give a delivery's headers; without a secret it is not signed.

    Args:
        message: what is sent.
        secret: shared with the receiver.
        time_s: seconds since the epoch: receivers refuse what was signed long ago.
    """
    headers = {
        "Content-Type": "application/json",
        "X-MLflow-Delivery-Id": message.delivery_id,
        "X-MLflow-Timestamp": str(time_s),
    }
    if secret is not None:
        headers["X-MLflow-Signature"] = _signature(message, secret, time_s)
    return headers


def _signature(message: Message, secret: str, time_s: int) -> str:
    signed = f"{message.delivery_id}.{time_s}.{message.body}".encode()
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"
