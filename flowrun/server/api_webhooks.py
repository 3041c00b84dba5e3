"""Webhooks: who is told of changes of the registry."""

from __future__ import annotations

import uuid

from flowrun.errors import FlowrunError, InvalidValueError, UnsupportedError
from flowrun.registry.webhooks import Webhook, WebhookEvent, WebhookStatus
from flowrun.server.messages import Call, Permission, Route
from flowrun.server.webhooks.deliver import Webhooks
from flowrun.server.webhooks.examples import EXAMPLES
from flowrun.server.webhooks.signing import Message, body_text
from flowrun.server.webhooks.target import check_url
from flowrun.tracking import limits
from flowrun.tracking.fields import Fields, JsonObject
from flowrun.tracking.wire import compact

_EVENTS = {event.value: event for event in WebhookEvent}
# Protobuf's JSON lets an enum be its name or its number. Source: webhooks.proto.
_STATUSES = dict(enumerate(WebhookStatus, start=1))
_ENTITIES = (
    *("", "REGISTERED_MODEL", "MODEL_VERSION", "MODEL_VERSION_TAG", "MODEL_VERSION_ALIAS"),
    *("PROMPT", "PROMPT_VERSION", "PROMPT_TAG", "PROMPT_VERSION_TAG", "PROMPT_ALIAS"),
)
_ACTIONS = ("", "CREATED", "UPDATED", "DELETED", "SET")


def create_webhook(call: Call) -> JsonObject:
    """Make a webhook."""
    webhooks, fields = _webhooks(call), call.fields
    name, url = _name(fields.text("name")), fields.text("url")
    fields.require("events")
    events = _events(fields)
    if not events:
        raise InvalidValueError("Webhook events must be a non-empty list of WebhookEvent objects.")
    description, secret = _description(fields) or "", _sealed_secret(webhooks, fields)
    status = _status(fields) or WebhookStatus.ACTIVE
    _check_url(webhooks, url)
    made = webhooks.store.create_webhook(
        str(uuid.uuid4()),
        name=name,
        url=url,
        events=events,
        description=description,
        sealed_secret=secret,
        status=status,
    )
    return {"webhook": webhook_json(made)}


def list_webhooks(call: Call) -> JsonObject:
    """Give all webhooks, newest first."""
    page = _webhooks(call).store.list_webhooks(
        max_results=call.fields.integer_or_none("max_results") or 100,
        page_token=call.fields.text_or_none("page_token") or None,
    )
    return compact(
        webhooks=[webhook_json(webhook) for webhook in page.items],
        next_page_token=page.next_page_token,
    )


def get_webhook(call: Call) -> JsonObject:
    """Give a webhook, without its secret."""
    return {"webhook": webhook_json(_webhooks(call).store.get_webhook(_id(call)))}


def update_webhook(call: Call) -> JsonObject:
    """Change a webhook."""
    webhooks, fields = _webhooks(call), call.fields
    webhooks.store.get_webhook(_id(call))
    name, url = fields.text_or_none("name") or None, fields.text_or_none("url") or None
    if name is not None:
        _name(name)
    events, description, status = _events(fields), _description(fields), _status(fields)
    secret = _sealed_secret(webhooks, fields)
    if url is not None:
        _check_url(webhooks, url)
    changed = webhooks.store.update_webhook(
        _id(call),
        name=name,
        url=url,
        events=events,
        description=description,
        sealed_secret=secret,
        status=status,
    )
    return {"webhook": webhook_json(changed)}


def delete_webhook(call: Call) -> JsonObject:
    """Remove a webhook with what was still to be told to it."""
    _webhooks(call).store.delete_webhook(_id(call))
    return {}


def test_webhook(call: Call) -> JsonObject:
    """Send an example to a webhook and give what it answered."""
    webhooks = _webhooks(call)
    webhook = webhooks.store.get_webhook(_id(call))
    given = call.fields.nested("event") if call.fields.has("event") else None
    event = _event(given) if given is not None else webhook.events[0]
    message = Message(
        str(uuid.uuid4()), body_text(event, webhook.last_update_time_ms, EXAMPLES[event])
    )
    try:
        reply = webhooks.send(webhook, message)
    except (FlowrunError, OSError) as error:
        return {"result": {"success": False, "error_message": f"Failed to test webhook: {error}"}}
    return {
        "result": {
            "success": reply.is_good,
            "response_status": reply.status,
            "response_body": reply.text,
        }
    }


def webhook_json(webhook: Webhook) -> JsonObject:
    """Give MLflow's `Webhook`; the secret is never told."""
    return compact(
        webhook_id=webhook.webhook_id,
        name=webhook.name,
        description=webhook.description or None,
        url=webhook.url,
        events=[
            {"entity": event.entity.upper(), "action": event.action.upper()}
            for event in webhook.events
        ],
        status=webhook.status.value,
        creation_timestamp=webhook.creation_time_ms,
        last_updated_timestamp=webhook.last_update_time_ms,
    )


def _webhooks(call: Call) -> Webhooks:
    if call.stores.webhooks is None:
        raise UnsupportedError(
            "This server, which lives for one run, does not keep webhooks.",
            "Ask `flowrun server`: it tells the changes of its store, whoever made them.",
        )
    return call.stores.webhooks


def _id(call: Call) -> str:
    return call.fields.text("webhook_id")


def _name(name: str) -> str:
    if not limits.WEBHOOK_NAME.fullmatch(name):
        raise InvalidValueError(
            f"Webhook name {name!r} is invalid. It must start and end with a letter or digit, "
            "be at most 63 characters long, and contain only letters, digits, dots (.), "
            "underscores (_), and hyphens (-)."
        )
    return name


def _check_url(webhooks: Webhooks, url: str) -> None:
    _check_length("url", url, limits.MAX_WEBHOOK_URL_LENGTH)
    check_url(url, webhooks.rules)


def _description(fields: Fields) -> str | None:
    description = fields.text_or_none("description")
    return _check_length("description", description, limits.MAX_WEBHOOK_DESCRIPTION_LENGTH)


def _sealed_secret(webhooks: Webhooks, fields: Fields) -> str | None:
    secret = fields.text_or_none("secret") or None
    _check_length("secret", secret, limits.MAX_WEBHOOK_SECRET_LENGTH)
    return None if secret is None else webhooks.sealer.seal(secret)


def _check_length(name: str, text: str | None, most: int) -> str | None:
    if text is not None and len(text) > most:
        raise InvalidValueError(
            f"'{name}' exceeds the maximum length of {most} characters (it has {len(text)})."
        )
    return text


def _events(fields: Fields) -> tuple[WebhookEvent, ...]:
    return tuple(dict.fromkeys(_event(item) for item in fields.objects("events")))


def _event(fields: Fields) -> WebhookEvent:
    entity, action = _enum(fields, "entity", _ENTITIES), _enum(fields, "action", _ACTIONS)
    text = f"{entity}.{action}".lower()
    if text not in _EVENTS:
        raise InvalidValueError(
            f"Invalid action '{action.lower()}' for entity '{entity.lower()}'. "
            f"The events of this server are: {', '.join(_EVENTS)}."
        )
    return _EVENTS[text]


def _enum(fields: Fields, name: str, values: tuple[str, ...]) -> str:
    try:
        number = fields.integer(name)
    except InvalidValueError:
        return fields.text(name)
    return values[number] if 0 < number < len(values) else str(number)


def _status(fields: Fields) -> WebhookStatus | None:
    if not fields.has("status"):
        return None
    try:
        return _STATUSES[fields.integer("status")]
    except (InvalidValueError, KeyError):
        text = fields.text("status")
    if text not in WebhookStatus.__members__:
        raise InvalidValueError(
            f"Invalid webhook status '{text}'. It must be one of {', '.join(WebhookStatus)}."
        )
    return WebhookStatus(text)


_AT = "/api/2.0/mlflow/webhooks"
_ONE = f"{_AT}/{{webhook_id}}"
_WRITE = Permission.WRITE
_READ = Permission.READ

ROUTES = (
    # Names are resolved to addresses, which takes as long as it takes.
    Route("POST", _AT, _WRITE, create_webhook, is_slow=True),
    Route("GET", _AT, _READ, list_webhooks),
    Route("GET", _ONE, _READ, get_webhook),
    Route("PATCH", _ONE, _WRITE, update_webhook, is_slow=True),
    Route("DELETE", _ONE, _WRITE, delete_webhook),
    Route("POST", f"{_ONE}/test", _WRITE, test_webhook, is_slow=True),
)
