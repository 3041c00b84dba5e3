"""Model versions and their stages."""

from __future__ import annotations

from flowrun.registry.entities import parse_stage
from flowrun.registry.noted import note_version
from flowrun.registry.wire import model_version_json
from flowrun.server.api_runs import limited
from flowrun.server.messages import Call, Permission, Route
from flowrun.server.model_sources import check_source
from flowrun.tracking.fields import Fields, JsonObject
from flowrun.tracking.wire import compact

_MAX_SEARCH_RESULTS = 200_000
_PROMPT_TAG = "mlflow.prompt.is_prompt"


def create_model_version(call: Call) -> JsonObject:
    """Make the next version of a registered model."""
    fields, stores = call.fields, call.stores
    name, source = fields.text("name"), fields.text("source")
    run_id = fields.text_or_none("run_id") or None
    tags = fields.pairs("tags")
    run_link = fields.text_or_none("run_link") or None
    description = fields.text_or("description")
    model_id = fields.text_or_none("model_id") or None
    if tags.get(_PROMPT_TAG, "").lower() != "true":  # a prompt's source is not opened by anybody
        check_source(stores, source, run_id=run_id, model_id=model_id)
    version = stores.registry.create_model_version(
        name,
        source,
        run_id=run_id,
        run_link=run_link,
        model_id=model_id,
        description=description,
        tags=tags,
        user_id=call.user or fields.text_or_none("user_id") or None,
    )
    if version.model_id:
        note_version(stores.tracking, version.model_id, version)
    return {"model_version": model_version_json(version)}


def get_model_version(call: Call) -> JsonObject:
    """Give a model version."""
    version = call.stores.registry.get_model_version(*_version_of(call.fields))
    return {"model_version": model_version_json(version)}


def get_download_uri(call: Call) -> JsonObject:
    """Give the URI where a version's files lie."""
    version = call.stores.registry.get_model_version(*_version_of(call.fields))
    return {"artifact_uri": version.download_uri}


def search_model_versions(call: Call) -> JsonObject:
    """Find model versions."""
    fields = call.fields
    page = call.stores.registry.search_model_versions(
        filter_text=fields.text_or("filter"),
        order_by=fields.texts("order_by"),
        max_results=limited(fields, "max_results", 10_000, _MAX_SEARCH_RESULTS),
        page_token=fields.text_or_none("page_token") or None,
    )
    return compact(
        model_versions=[model_version_json(version) for version in page.items],
        next_page_token=page.next_page_token,
    )


def update_model_version(call: Call) -> JsonObject:
    """Set the description of a version."""
    name, number = _version_of(call.fields)
    description = call.fields.text_or_none("description")
    registry = call.stores.registry
    if description is None:
        version = registry.get_model_version(name, number)
    else:
        version = registry.update_model_version(name, number, description)
    return {"model_version": model_version_json(version)}


def transition_stage(call: Call) -> JsonObject:
    """Move a version to a stage."""
    name, number = _version_of(call.fields)
    version = call.stores.registry.transition_stage(
        name,
        number,
        parse_stage(call.fields.text("stage")),
        archive_existing=call.fields.flag("archive_existing_versions"),
        user_id=call.user,
    )
    return {"model_version": model_version_json(version)}


def delete_model_version(call: Call) -> JsonObject:
    """Remove a version and the aliases that point to it."""
    call.stores.registry.delete_model_version(*_version_of(call.fields))
    return {}


def set_model_version_tag(call: Call) -> JsonObject:
    """Set or replace a tag of a version."""
    name, number = _version_of(call.fields)
    key, value = call.fields.text("key"), call.fields.text_or("value")
    call.stores.registry.set_model_version_tag(name, number, key, value)
    return {}


def delete_model_version_tag(call: Call) -> JsonObject:
    """Remove a tag of a version."""
    name, number = _version_of(call.fields)
    call.stores.registry.delete_model_version_tag(name, number, call.fields.text("key"))
    return {}


def _version_of(fields: Fields) -> tuple[str, str]:
    return fields.text("name"), fields.text("version")


_AT = "/api/2.0/mlflow/model-versions"
_READ, _WRITE = Permission.READ, Permission.WRITE

ROUTES = (
    Route("POST", f"{_AT}/create", _WRITE, create_model_version),
    Route("GET", f"{_AT}/get", _READ, get_model_version),
    Route("GET", f"{_AT}/get-download-uri", _READ, get_download_uri),
    Route("GET", f"{_AT}/search", _READ, search_model_versions, is_slow=True),
    Route("PATCH", f"{_AT}/update", _WRITE, update_model_version),
    Route("POST", f"{_AT}/transition-stage", _WRITE, transition_stage),
    Route("DELETE", f"{_AT}/delete", _WRITE, delete_model_version),
    Route("POST", f"{_AT}/set-tag", _WRITE, set_model_version_tag),
    Route("DELETE", f"{_AT}/delete-tag", _WRITE, delete_model_version_tag),
)
