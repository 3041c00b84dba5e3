"""Runs, and what is logged to them."""

from __future__ import annotations

import json

from flowrun.errors import InvalidValueError
from flowrun.server.api_experiments import view_type
from flowrun.server.messages import Call, Permission, Route
from flowrun.tracking.entities import Metric
from flowrun.tracking.fields import Fields, JsonObject
from flowrun.tracking.wire import (
    compact,
    dataset_inputs_from,
    metrics_from,
    model_inputs_from,
    model_outputs_from,
    run_info_json,
    run_json,
    run_status_from,
)

_MAX_SEARCH_RESULTS = 50_000
_HISTORY_TAG = "mlflow.log-model.history"


def create_run(call: Call) -> JsonObject:
    """Start a run; with params, which MLflow's own call does not take, in the same transaction."""
    fields = call.fields
    run = call.stores.tracking.create_run(
        fields.text_or("experiment_id") or "0",
        user_id=fields.text_or("user_id"),
        run_name=fields.text_or_none("run_name") or None,
        start_time_ms=fields.integer_or_none("start_time"),
        tags=fields.pairs("tags"),
        params=_unique_params(fields),
    )
    return {"run": run_json(run)}


def get_run(call: Call) -> JsonObject:
    """Give a run with its latest metrics, params, tags, inputs and outputs."""
    return {"run": run_json(call.stores.tracking.get_run(run_id_of(call.fields)))}


def update_run(call: Call) -> JsonObject:
    """Change a run's status, end time or name."""
    fields = call.fields
    info = call.stores.tracking.update_run(
        run_id_of(fields),
        status=run_status_from(fields),
        end_time_ms=fields.integer_or_none("end_time"),
        run_name=fields.text_or_none("run_name") or None,
    )
    return {"run_info": run_info_json(info)}


def delete_run(call: Call) -> JsonObject:
    """Mark a run as deleted."""
    call.stores.tracking.delete_run(run_id_of(call.fields))
    return {}


def restore_run(call: Call) -> JsonObject:
    """Take back the deletion of a run."""
    call.stores.tracking.restore_run(run_id_of(call.fields))
    return {}


def search_runs(call: Call) -> JsonObject:
    """Find runs of some experiments."""
    fields = call.fields
    page = call.stores.tracking.search_runs(
        fields.texts("experiment_ids"),
        filter_text=fields.text_or("filter"),
        view=view_type(fields, "run_view_type"),
        order_by=fields.texts("order_by"),
        max_results=limited(fields, "max_results", 1000, _MAX_SEARCH_RESULTS),
        page_token=fields.text_or_none("page_token") or None,
    )
    return compact(runs=[run_json(run) for run in page.items], next_page_token=page.next_page_token)


def log_metric(call: Call) -> JsonObject:
    """Append one point to a metric."""
    fields = call.fields
    run_id = run_id_of(fields)
    # The object's run_id is the run's own, not the point's.
    metric = Metric(
        key=fields.text("key"),
        value=fields.number("value"),
        timestamp_ms=fields.integer("timestamp"),
        step=fields.integer_or("step", 0),
        model_id=fields.text_or_none("model_id") or None,
        dataset_name=fields.text_or_none("dataset_name") or None,
        dataset_digest=fields.text_or_none("dataset_digest") or None,
    )
    call.stores.tracking.log_batch(run_id, metrics=(metric,))
    return {}


def log_param(call: Call) -> JsonObject:
    """Set a param, which can't be changed afterwards."""
    fields = call.fields
    run_id, key, value = run_id_of(fields), fields.text("key"), fields.text_or("value")
    call.stores.tracking.log_batch(run_id, params={key: value})
    return {}


def set_tag(call: Call) -> JsonObject:
    """Set or replace a tag of a run."""
    fields = call.fields
    run_id, key, value = run_id_of(fields), fields.text("key"), fields.text_or("value")
    call.stores.tracking.log_batch(run_id, tags={key: value})
    return {}


def delete_tag(call: Call) -> JsonObject:
    """Remove a tag of a run."""
    call.stores.tracking.delete_tag(run_id_of(call.fields), call.fields.text("key"))
    return {}


def log_batch(call: Call) -> JsonObject:
    """Append metrics and set params and tags, all or nothing."""
    fields = call.fields
    run_id = fields.text("run_id")
    metrics = metrics_from(fields, "metrics")
    params = _unique_params(fields)
    tags = fields.pairs("tags")
    call.stores.tracking.log_batch(run_id, metrics=metrics, params=params, tags=tags)
    return {}


def log_inputs(call: Call) -> JsonObject:
    """Add datasets and models that a run read."""
    fields = call.fields
    run_id = fields.text("run_id")
    call.stores.tracking.log_inputs(
        run_id,
        datasets=dataset_inputs_from(fields.objects("datasets")),
        models=model_inputs_from(fields.objects("models")),
    )
    return {}


def log_outputs(call: Call) -> JsonObject:
    """Add logged models that a run made."""
    fields = call.fields
    run_id = fields.text("run_id")
    fields.require("models")
    call.stores.tracking.log_outputs(run_id, model_outputs_from(fields.objects("models")))
    return {}


def log_model(call: Call) -> JsonObject:
    """Note a model among the run's artifacts in a tag, as clients before MLflow 3 do."""
    run_id, text = call.fields.text("run_id"), call.fields.text("model_json")
    try:
        model = json.loads(text)
    except ValueError:
        raise InvalidValueError(
            f"Malformed model info. \n {text} \n is not a valid JSON."
        ) from None
    wanted = {"artifact_path", "flavors", "utc_time_created", "run_id"}
    if not isinstance(model, dict) or not wanted <= model.keys():
        missing = sorted(wanted - set(model if isinstance(model, dict) else ()))
        raise InvalidValueError(f"Model json is missing mandatory fields: {missing}")
    noted = json.loads(call.stores.tracking.get_run(run_id).tags.get(_HISTORY_TAG, "[]"))
    call.stores.tracking.log_batch(run_id, tags={_HISTORY_TAG: json.dumps([*noted, model])})
    return {}


def run_id_of(fields: Fields) -> str:
    """Read a run's id, which older clients call `run_uuid`."""
    return fields.text("run_id", alias="run_uuid")


def limited(fields: Fields, name: str, default: int, most: int) -> int:
    """Read the size of a page; only an absent one is the default, 0 is for the store to refuse."""
    value = fields.integer_or(name, default)
    if value > most:
        raise InvalidValueError(
            f"Invalid value {value} for parameter '{name}' supplied. It must be at most {most}."
        )
    return value


def _unique_params(fields: Fields) -> dict[str, str]:
    params: dict[str, str] = {}
    repeated = []
    for item in fields.objects("params"):
        key = item.text("key")
        if key in params:
            repeated.append(key)
        params[key] = item.text_or("value")
    if repeated:
        raise InvalidValueError(
            f"Duplicate parameter keys have been submitted: {repeated}. Please ensure "
            "the request contains only one param value per param key."
        )
    return params


_AT = "/api/2.0/mlflow/runs"
_READ, _WRITE = Permission.READ, Permission.WRITE

ROUTES = (
    Route("POST", f"{_AT}/log-metric", _WRITE, log_metric),
    Route("POST", f"{_AT}/log-batch", _WRITE, log_batch),
    Route("GET", f"{_AT}/get", _READ, get_run),
    Route("POST", f"{_AT}/create", _WRITE, create_run),
    Route("POST", f"{_AT}/update", _WRITE, update_run),
    Route("POST", f"{_AT}/log-parameter", _WRITE, log_param),
    Route("POST", f"{_AT}/set-tag", _WRITE, set_tag),
    Route("POST", f"{_AT}/delete-tag", _WRITE, delete_tag),
    Route("POST", f"{_AT}/search", _READ, search_runs, is_slow=True),
    Route("POST", f"{_AT}/delete", _WRITE, delete_run),
    Route("POST", f"{_AT}/restore", _WRITE, restore_run),
    Route("POST", f"{_AT}/log-inputs", _WRITE, log_inputs),
    Route("POST", f"{_AT}/outputs", _WRITE, log_outputs),
    Route("POST", f"{_AT}/log-model", _WRITE, log_model),
)
