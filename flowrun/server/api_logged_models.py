"""Logged models: models with an id and files of their own (MLflow 3)."""

from __future__ import annotations

from flowrun.server.messages import Call, Permission, Route
from flowrun.tracking.entities import ModelStatus
from flowrun.tracking.fields import JsonObject
from flowrun.tracking.wire import compact, logged_model_json, model_status_from


def create_logged_model(call: Call) -> JsonObject:
    """Make a logged model, PENDING until its files are there."""
    fields = call.fields
    model = call.stores.tracking.create_logged_model(
        fields.text("experiment_id"),
        name=fields.text_or_none("name") or None,
        model_type=fields.text_or_none("model_type") or None,
        source_run_id=fields.text_or_none("source_run_id") or None,
        params=fields.pairs("params"),
        tags=fields.pairs("tags"),
    )
    return {"model": logged_model_json(model)}


def get_logged_model(call: Call) -> JsonObject:
    """Give a logged model."""
    model = call.stores.tracking.get_logged_model(call.fields.text("model_id"))
    return {"model": logged_model_json(model)}


def finalize_logged_model(call: Call) -> JsonObject:
    """Say that a logged model's files are all there, or failed."""
    model_id = call.fields.text("model_id")
    call.fields.require("status")
    status = model_status_from(call.fields) or ModelStatus.UNSPECIFIED
    model = call.stores.tracking.finalize_logged_model(model_id, status)
    return {"model": logged_model_json(model)}


def delete_logged_model(call: Call) -> JsonObject:
    """Mark a logged model as deleted."""
    call.stores.tracking.delete_logged_model(call.fields.text("model_id"))
    return {}


def set_logged_model_tags(call: Call) -> JsonObject:
    """Set or replace tags of a logged model."""
    model_id = call.fields.text("model_id")
    call.stores.tracking.set_logged_model_tags(model_id, call.fields.pairs("tags"))
    return {}


def delete_logged_model_tag(call: Call) -> JsonObject:
    """Remove a tag of a logged model."""
    call.stores.tracking.delete_logged_model_tag(
        call.fields.text("model_id"), call.fields.text("tag_key")
    )
    return {}


def log_logged_model_params(call: Call) -> JsonObject:
    """Add params to a logged model."""
    model_id = call.fields.text("model_id")
    call.stores.tracking.log_logged_model_params(model_id, call.fields.pairs("params"))
    return {}


def search_logged_models(call: Call) -> JsonObject:
    """Find logged models of some experiments."""
    fields = call.fields
    fields.require("experiment_ids")
    page = call.stores.tracking.search_logged_models(
        fields.texts("experiment_ids"),
        filter_text=fields.text_or("filter"),
        datasets=[
            (item.text("dataset_name"), item.text_or_none("dataset_digest") or None)
            for item in fields.objects("datasets")
        ],
        order_by=[
            (item.text("field_name"), item.flag("ascending", default=True))
            for item in fields.objects("order_by")
        ],
        max_results=fields.integer_or_none("max_results") or 100,
        page_token=fields.text_or_none("page_token") or None,
    )
    return compact(
        models=[logged_model_json(model) for model in page.items],
        next_page_token=page.next_page_token,
    )


_AT = "/api/2.0/mlflow/logged-models"
_ONE = f"{_AT}/{{model_id}}"
_READ, _WRITE = Permission.READ, Permission.WRITE

ROUTES = (
    Route("POST", _AT, _WRITE, create_logged_model),
    Route("POST", f"{_AT}/search", _READ, search_logged_models, is_slow=True),
    Route("GET", _ONE, _READ, get_logged_model),
    Route("PATCH", _ONE, _WRITE, finalize_logged_model),
    Route("DELETE", _ONE, _WRITE, delete_logged_model),
    Route("PATCH", f"{_ONE}/tags", _WRITE, set_logged_model_tags),
    Route("DELETE", f"{_ONE}/tags/{{tag_key...}}", _WRITE, delete_logged_model_tag),
    Route("POST", f"{_ONE}/params", _WRITE, log_logged_model_params),
)
