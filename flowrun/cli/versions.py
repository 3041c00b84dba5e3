"""Registered models and versions for programs: as JSON."""

from __future__ import annotations

from flowrun.registry.entities import ModelVersion, RegisteredModel


def model_to_json(model: RegisteredModel) -> dict[str, object]:
    """Give a registered model for programs."""
    return {
        "name": model.name,
        "description": model.description,
        "creation_time_ms": model.creation_time_ms,
        "last_update_time_ms": model.last_update_time_ms,
        "tags": dict(model.tags),
        "aliases": dict(model.aliases),
        "latest_versions": [version_to_json(version) for version in model.latest_versions],
    }


def version_to_json(version: ModelVersion) -> dict[str, object]:
    """Give a model version for programs."""
    return {
        "name": version.name,
        "version": version.version,
        "stage": version.stage.value,
        "status": version.status.value,
        "aliases": list(version.aliases),
        "description": version.description,
        "source": version.source,
        "run_id": version.run_id,
        "model_id": version.model_id,
        "user": version.user_id,
        "creation_time_ms": version.creation_time_ms,
        "last_update_time_ms": version.last_update_time_ms,
        "tags": dict(version.tags),
    }
