"""MLflow's JSON for registered models and versions: entities to JSON, and JSON to entities.

Source: MLflow REST API; `model_registry.proto`.
"""

from __future__ import annotations

from flowrun.registry.entities import (
    ModelVersion,
    RegisteredModel,
    Stage,
    Transition,
    VersionStatus,
    parse_stage,
)
from flowrun.tracking.fields import Fields, JsonObject
from flowrun.tracking.wire import compact, pairs_json


def registered_model_json(model: RegisteredModel) -> JsonObject:
    """Give MLflow's `RegisteredModel`."""
    return compact(
        name=model.name,
        creation_timestamp=model.creation_time_ms,
        last_updated_timestamp=model.last_update_time_ms,
        description=model.description or None,
        latest_versions=[model_version_json(version) for version in model.latest_versions],
        tags=pairs_json(model.tags),
        aliases=[{"alias": alias, "version": version} for alias, version in model.aliases.items()],
    )


def registered_model_from(fields: Fields) -> RegisteredModel:
    """Read MLflow's `RegisteredModel`."""
    return RegisteredModel(
        name=fields.text("name"),
        creation_time_ms=fields.integer_or("creation_timestamp", 0),
        last_update_time_ms=fields.integer_or("last_updated_timestamp", 0),
        description=fields.text_or("description"),
        tags=fields.pairs("tags"),
        aliases={item.text("alias"): item.text("version") for item in fields.objects("aliases")},
        latest_versions=tuple(
            model_version_from(item) for item in fields.objects("latest_versions")
        ),
    )


def model_version_json(version: ModelVersion) -> JsonObject:
    """Give MLflow's `ModelVersion`; where its files lie is asked for by a call of its own."""
    return compact(
        name=version.name,
        version=version.version,
        creation_timestamp=version.creation_time_ms,
        last_updated_timestamp=version.last_update_time_ms,
        user_id=version.user_id,
        current_stage=version.stage.value,
        description=version.description or None,
        source=version.source,
        run_id=version.run_id,
        status=version.status.value,
        tags=pairs_json(version.tags),
        run_link=version.run_link,
        aliases=list(version.aliases),
        model_id=version.model_id,
    )


def model_version_from(fields: Fields) -> ModelVersion:
    """Read MLflow's `ModelVersion`; `download_uri` is the source, for want of a better one."""
    source = fields.text_or("source")
    return ModelVersion(
        name=fields.text("name"),
        version=fields.text("version"),
        creation_time_ms=fields.integer_or("creation_timestamp", 0),
        last_update_time_ms=fields.integer_or("last_updated_timestamp", 0),
        source=source,
        download_uri=source,
        stage=parse_stage(fields.text_or("current_stage", Stage.NONE)),
        status=VersionStatus(fields.text_or("status", VersionStatus.READY)),
        description=fields.text_or("description"),
        # MLflow's server says '' for none.
        run_id=fields.text_or_none("run_id") or None,
        run_link=fields.text_or_none("run_link") or None,
        model_id=fields.text_or_none("model_id") or None,
        user_id=fields.text_or_none("user_id"),
        tags=fields.pairs("tags"),
        aliases=tuple(fields.texts("aliases")),
    )


def transition_json(transition: Transition) -> JsonObject:
    """Give a line of the history; flowrun's own, MLflow has none."""
    return compact(
        name=transition.name,
        version=transition.version,
        time_ms=transition.time_ms,
        user_id=transition.user_id or None,
        kind=transition.kind,
        before=transition.before or None,
        after=transition.after or None,
        alias=transition.alias or None,
        reason=transition.reason or None,
        run_id=transition.run_id,
        via=transition.via or None,
    )


def transition_from(fields: Fields) -> Transition:
    """Read a line of the history."""
    return Transition(
        name=fields.text("name"),
        version=fields.text("version"),
        time_ms=fields.integer("time_ms"),
        user_id=fields.text_or("user_id"),
        kind=fields.text("kind"),
        before=fields.text_or("before"),
        after=fields.text_or("after"),
        alias=fields.text_or("alias"),
        reason=fields.text_or("reason"),
        run_id=fields.text_or_none("run_id"),
        via=fields.text_or("via"),
    )
