"""What is read of a server's answers about registered models and versions."""

from __future__ import annotations

from dataclasses import replace

from flowrun.models.uri import LoggedModelUri, is_model_uri, parse_model_uri
from flowrun.registry.entities import ModelVersion, RegisteredModel
from flowrun.registry.wire import model_version_from, registered_model_from
from flowrun.tracking.fields import Fields
from flowrun.tracking.rest.server import Server

USER_TAG = "flowrun.user"
"""Who made a version, where the server has no other place for it."""


def read_model(fields: Fields) -> RegisteredModel:
    """Read an answer that is one registered model."""
    return registered_model_from(fields.nested("registered_model"))


def read_version(fields: Fields) -> ModelVersion:
    """Read an answer that is one version."""
    return version_from(fields.nested("model_version"))


def version_from(fields: Fields) -> ModelVersion:
    """Read a version."""
    version = model_version_from(fields)
    tags = dict(version.tags)
    user_id = version.user_id or tags.pop(USER_TAG, None)
    model_id = version.model_id or _model_id(version.source)
    return replace(version, user_id=user_id, model_id=model_id, tags=tags)


def located(server: Server, version: ModelVersion) -> ModelVersion:
    """Give a version with where its files lie: where its source names a model, the server knows."""
    if not is_model_uri(version.source):
        return version
    query = {"name": version.name, "version": version.version}
    uri = server.get("model-versions/get-download-uri", query, _artifact_uri)
    return replace(version, download_uri=uri)


def _model_id(source: str) -> str | None:
    """Give the logged model that a source names: MLflow's server says it nowhere else."""
    uri = parse_model_uri(source) if is_model_uri(source) else None
    return uri.model_id if isinstance(uri, LoggedModelUri) else None


def _artifact_uri(fields: Fields) -> str:
    return fields.text("artifact_uri")
