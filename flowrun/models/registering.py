"""Versions of registered models, as a training script makes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowrun.errors import InvalidValueError
from flowrun.models.places import find_place
from flowrun.models.uri import is_model_uri
from flowrun.tracking import fluent
from flowrun.tracking.light_http import TrackingError


class ModelVersion:
    """A version of a registered model, with the attributes it has in MLflow's client."""

    def __init__(self, version: Mapping[str, Any]) -> None:
        """Read the server's JSON."""
        self.name: str = version["name"]
        self.version: str = str(version["version"])
        self.source: str = version.get("source", "")
        self.run_id: str | None = version.get("run_id")
        self.model_id: str | None = version.get("model_id")
        self.status: str = version.get("status", "READY")
        self.current_stage: str = version.get("current_stage", "None")
        self.description: str = version.get("description", "")
        self.aliases: list[str] = list(version.get("aliases", ()))
        self.tags: dict[str, str] = {
            tag["key"]: tag.get("value", "") for tag in version.get("tags", ())
        }

    def __repr__(self) -> str:
        """Show name and version."""
        return f"<ModelVersion {self.name}/{self.version}>"


def register_model(
    model_uri: str,
    name: str,
    await_registration_for: int | None = None,
    *,
    tags: Mapping[str, object] | None = None,
) -> ModelVersion:
    """Make a new version of a registered model, which is made if there is none.

    Args:
        model_uri: where the model is: `models:/m-...`, `runs:/...`, another version, or a URI of
            its files.
        name: of the registered model.
        await_registration_for: taken for MLflow's sake: a version is ready as soon as it is there.
        tags: of the version.

    Raises:
        TrackingError: the server refused it. NotFoundError: there is no such model.
    """
    del await_registration_for
    if not name:
        raise InvalidValueError("Registered model name cannot be empty.")
    http = fluent.current_session().http()
    place = find_place(http, model_uri)
    source = f"models:/{place.model_id}" if place.model_id else place.uri
    try:
        http.call("POST", "registered-models/create", {"name": name})
    except TrackingError as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    body = {
        "name": name,
        "source": source if is_model_uri(source) else place.uri,
        "run_id": place.run_id,
        "model_id": place.model_id,
        "tags": [{"key": key, "value": str(value)} for key, value in (tags or {}).items()],
    }
    said = {key: value for key, value in body.items() if value is not None}
    answer = http.call("POST", "model-versions/create", said)
    return ModelVersion(answer["model_version"])
