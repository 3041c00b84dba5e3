"""Registered models and their aliases."""

from __future__ import annotations

from flowrun.registry.wire import model_version_json, registered_model_json
from flowrun.server.api_runs import limited
from flowrun.server.messages import Call, Permission, Route
from flowrun.tracking.fields import JsonObject
from flowrun.tracking.wire import compact

_MAX_SEARCH_RESULTS = 1000


def create_registered_model(call: Call) -> JsonObject:
    """Make a registered model."""
    fields = call.fields
    model = call.stores.registry.create_registered_model(
        fields.text("name"), description=fields.text_or("description"), tags=fields.pairs("tags")
    )
    return {"registered_model": registered_model_json(model)}


def get_registered_model(call: Call) -> JsonObject:
    """Give a registered model with its aliases and latest versions."""
    model = call.stores.registry.get_registered_model(call.fields.text("name"))
    return {"registered_model": registered_model_json(model)}


def search_registered_models(call: Call) -> JsonObject:
    """Find registered models."""
    fields = call.fields
    page = call.stores.registry.search_registered_models(
        filter_text=fields.text_or("filter"),
        order_by=fields.texts("order_by"),
        max_results=limited(fields, "max_results", 100, _MAX_SEARCH_RESULTS),
        page_token=fields.text_or_none("page_token") or None,
    )
    return compact(
        registered_models=[registered_model_json(model) for model in page.items],
        next_page_token=page.next_page_token,
    )


def rename_registered_model(call: Call) -> JsonObject:
    """Rename a registered model with its versions."""
    name, new_name = call.fields.text("name"), call.fields.text("new_name")
    model = call.stores.registry.rename_registered_model(name, new_name)
    return {"registered_model": registered_model_json(model)}


def update_registered_model(call: Call) -> JsonObject:
    """Set the description of a registered model."""
    name, description = call.fields.text("name"), call.fields.text_or("description")
    model = call.stores.registry.update_registered_model(name, description)
    return {"registered_model": registered_model_json(model)}


def delete_registered_model(call: Call) -> JsonObject:
    """Remove a registered model with its versions."""
    call.stores.registry.delete_registered_model(call.fields.text("name"))
    return {}


def set_registered_model_tag(call: Call) -> JsonObject:
    """Set or replace a tag of a registered model."""
    fields = call.fields
    name, key, value = fields.text("name"), fields.text("key"), fields.text_or("value")
    call.stores.registry.set_registered_model_tag(name, key, value)
    return {}


def delete_registered_model_tag(call: Call) -> JsonObject:
    """Remove a tag of a registered model."""
    name, key = call.fields.text("name"), call.fields.text("key")
    call.stores.registry.delete_registered_model_tag(name, key)
    return {}


def set_alias(call: Call) -> JsonObject:
    """Point an alias to a version."""
    fields = call.fields
    name, alias, version = fields.text("name"), fields.text("alias"), fields.text("version")
    call.stores.registry.set_alias(name, alias, version, user_id=call.user)
    return {}


def delete_alias(call: Call) -> JsonObject:
    """Remove an alias."""
    fields = call.fields
    name, alias = fields.text("name"), fields.text("alias")
    user_id = call.user or fields.text_or("user_id")
    call.stores.registry.delete_alias(name, alias, user_id=user_id)
    return {}


def get_version_by_alias(call: Call) -> JsonObject:
    """Give the version that an alias points to."""
    name, alias = call.fields.text("name"), call.fields.text("alias")
    version = call.stores.registry.get_version_by_alias(name, alias)
    return {"model_version": model_version_json(version)}


def get_latest_versions(call: Call) -> JsonObject:
    """Give the newest version of each stage."""
    name, stages = call.fields.text("name"), call.fields.texts("stages")
    versions = call.stores.registry.get_latest_versions(name, stages)
    return compact(model_versions=[model_version_json(version) for version in versions])


_AT = "/api/2.0/mlflow/registered-models"
_READ, _WRITE = Permission.READ, Permission.WRITE

ROUTES = (
    Route("POST", f"{_AT}/create", _WRITE, create_registered_model),
    Route("GET", f"{_AT}/get", _READ, get_registered_model),
    Route("GET", f"{_AT}/search", _READ, search_registered_models, is_slow=True),
    Route("POST", f"{_AT}/rename", _WRITE, rename_registered_model),
    Route("PATCH", f"{_AT}/update", _WRITE, update_registered_model),
    Route("DELETE", f"{_AT}/delete", _WRITE, delete_registered_model),
    Route("POST", f"{_AT}/set-tag", _WRITE, set_registered_model_tag),
    Route("DELETE", f"{_AT}/delete-tag", _WRITE, delete_registered_model_tag),
    Route("POST", f"{_AT}/alias", _WRITE, set_alias),
    Route("GET", f"{_AT}/alias", _READ, get_version_by_alias),
    Route("DELETE", f"{_AT}/alias", _WRITE, delete_alias),
    Route("POST", f"{_AT}/get-latest-versions", _READ, get_latest_versions),
    Route("GET", f"{_AT}/get-latest-versions", _READ, get_latest_versions),
)
