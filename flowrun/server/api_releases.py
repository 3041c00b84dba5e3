"""flowrun's own calls of the registry: promotions with their reasons, and the history.

MLflow's protocol moves a stage and an alias by two calls, and keeps neither who nor why.
"""

from __future__ import annotations

from flowrun.registry.entities import parse_stage
from flowrun.registry.wire import model_version_json, transition_json
from flowrun.server.messages import Call, Permission, Route
from flowrun.tracking.fields import JsonObject
from flowrun.tracking.wire import compact


def promote(call: Call) -> JsonObject:
    """Move a version to a stage, an alias or both at once, with who, why and by which run."""
    fields = call.fields
    stage = fields.text_or_none("stage") or None
    version = call.stores.registry.promote(
        fields.text("name"),
        fields.text("version"),
        stage=parse_stage(stage) if stage else None,
        alias=fields.text_or_none("alias"),
        archive_existing=fields.flag("archive_existing_versions"),
        user_id=call.user or fields.text_or("user_id"),
        reason=fields.text_or("reason"),
        run_id=fields.text_or_none("run_id") or None,
        holder=fields.text_or_none("holder"),
    )
    return {"model_version": model_version_json(version)}


def get_history(call: Call) -> JsonObject:
    """Give the history of a registered model's stages and aliases, or of one version's."""
    name, version = call.fields.text("name"), call.fields.text_or_none("version") or None
    history = call.stores.registry.get_history(name, version)
    return compact(transitions=[transition_json(transition) for transition in history])


ROUTES = (
    Route("POST", "/api/flowrun/1.0/model-versions/promote", Permission.WRITE, promote),
    Route("GET", "/api/flowrun/1.0/registered-models/history", Permission.READ, get_history),
)
