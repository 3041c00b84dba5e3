"""Deliveries to webhooks, written in the transaction of the change that they tell."""

from __future__ import annotations

import json
from collections.abc import Mapping

from flowrun.registry.entities import ModelVersion, RegisteredModel
from flowrun.registry.requests import PromotionRequest
from flowrun.registry.sql.search import PROMPT_TAG
from flowrun.registry.webhooks import WebhookEvent
from flowrun.tracking.sql.database import Connection

MAX_WAITING = 1000
"""Deliveries that wait for one webhook. A receiver that is gone for good must not fill the disk."""

_PROMPT_TEXT_TAG = "mlflow.prompt.text"
_PROMPT_MARKS = frozenset({PROMPT_TAG, "_mlflow_prompt_type"})
"""Tags that tell a prompt from a model; receivers are not shown them."""

_SELECT_ANY_WEBHOOK = "SELECT 1 FROM webhooks LIMIT 1"
_SELECT_ABOUT = """
    SELECT name, (
        SELECT value FROM registered_model_tags t
        WHERE t.registered_model_pk = registered_models.registered_model_pk AND t.key = :key
    ) FROM registered_models WHERE registered_model_pk = :pk
"""
_INSERT = """
    INSERT INTO webhook_deliveries (webhook_id, event, data, time_ms, attempts, next_time_ms)
    SELECT webhooks.webhook_id, :event, :data, :now, 0, :due FROM webhooks
    JOIN webhook_events e ON e.webhook_id = webhooks.webhook_id AND e.event = :subscribed
    WHERE webhooks.status = 'ACTIVE' AND :room > (
        SELECT COUNT(*) FROM webhook_deliveries d WHERE d.webhook_id = webhooks.webhook_id
    )
"""


def tell_model_created(connection: Connection, model: RegisteredModel) -> None:
    """Tell that there is a new model or prompt."""
    if not _anybody_listens(connection):
        return
    if _is_true(model.tags.get(PROMPT_TAG)):
        event, tags = WebhookEvent.PROMPT_CREATED, _own_tags(model.tags)
    else:
        event, tags = WebhookEvent.MODEL_CREATED, dict(model.tags)
    data = {"name": model.name, "tags": tags, "description": model.description}
    _tell(connection, event, data, model.creation_time_ms)


def tell_version_created(connection: Connection, version: ModelVersion) -> None:
    """Tell that there is a new version of a model or prompt."""
    if not _anybody_listens(connection):
        return
    data: dict[str, object] = {"name": version.name, "version": version.version}
    if _is_true(version.tags.get(PROMPT_TAG)):
        event, tags = WebhookEvent.PROMPT_VERSION_CREATED, _own_tags(version.tags)
        data["template"] = tags.pop(_PROMPT_TEXT_TAG, None)
    else:
        event, tags = WebhookEvent.VERSION_CREATED, dict(version.tags)
        data |= {"source": version.source, "run_id": version.run_id}
    data |= {"tags": tags, "description": version.description or None}
    _tell(connection, event, data, version.creation_time_ms)


def tell_model_tag(connection: Connection, pk: int, key: str, value: str | None, now: int) -> None:
    """Tell that a prompt's tag was set, or removed (None); of models it is not told."""
    name, is_prompt = _about(connection, pk)
    if not is_prompt:
        return
    if value is None:
        _tell(connection, WebhookEvent.PROMPT_TAG_DELETED, {"name": name, "key": key}, now)
    else:
        data = {"name": name, "key": key, "value": value}
        _tell(connection, WebhookEvent.PROMPT_TAG_SET, data, now)


def tell_version_tag(
    connection: Connection, pk: int, version: int, key: str, value: str | None, now: int
) -> None:
    """Tell that a version's tag was set, or removed (None)."""
    name, is_prompt = _about(connection, pk)
    data = {"name": name, "version": str(version), "key": key}
    if value is None:
        event = WebhookEvent.VERSION_TAG_DELETED
        event = WebhookEvent.PROMPT_VERSION_TAG_DELETED if is_prompt else event
    else:
        event = WebhookEvent.PROMPT_VERSION_TAG_SET if is_prompt else WebhookEvent.VERSION_TAG_SET
        data["value"] = value
    _tell(connection, event, data, now)


def tell_alias(connection: Connection, pk: int, alias: str, version: int | None, now: int) -> None:
    """Tell that an alias points to a version, or to none any more (None)."""
    name, is_prompt = _about(connection, pk)
    data = {"name": name, "alias": alias}
    if version is None:
        event = WebhookEvent.PROMPT_ALIAS_DELETED if is_prompt else WebhookEvent.ALIAS_DELETED
    else:
        event = WebhookEvent.PROMPT_ALIAS_CREATED if is_prompt else WebhookEvent.ALIAS_CREATED
        data["version"] = str(version)
    _tell(connection, event, data, now)


def tell_stage(
    connection: Connection, pk: int, version: int, before: str, after: str, now: int
) -> None:
    """Tell that a version has another stage."""
    name, _ = _about(connection, pk)
    data = {"name": name, "version": str(version), "from_stage": before, "to_stage": after}
    _tell(connection, WebhookEvent.STAGE_SET, data, now)


def tell_request(connection: Connection, event: WebhookEvent, request: PromotionRequest) -> None:
    """Tell that somebody asks for a promotion, or what was decided about it."""
    data = {
        "request_id": request.request_id,
        "name": request.name,
        "version": request.version,
        "to_stage": request.move.stage,
        "alias": request.move.alias,
        "requested_by": request.user_id,
        "reason": request.reason,
        "run_id": request.run_id,
    }
    if request.decided_time_ms is not None:
        data |= {"decided_by": request.decided_by, "comment": request.comment}
    _tell(connection, event, data, request.decided_time_ms or request.time_ms)


def _anybody_listens(connection: Connection) -> bool:
    return connection.execute(_SELECT_ANY_WEBHOOK).fetchone() is not None


def _about(connection: Connection, pk: int) -> tuple[str, bool]:
    """Give a model's name, and whether it is a prompt."""
    name, mark = connection.execute(_SELECT_ABOUT, {"pk": pk, "key": PROMPT_TAG}).fetchone()
    return name, _is_true(mark)


def _own_tags(tags: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in tags.items() if key not in _PROMPT_MARKS}


def _is_true(mark: str | None) -> bool:
    return mark is not None and mark.lower() == "true"


def _tell(
    connection: Connection, event: WebhookEvent, data: Mapping[str, object], now: int
) -> None:
    connection.execute(
        _INSERT,
        {
            "event": event,
            "subscribed": event,
            "data": json.dumps(data),
            "now": now,
            "due": now,
            "room": MAX_WAITING,
        },
    )
