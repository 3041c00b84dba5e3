"""Experiments."""

from __future__ import annotations

from flowrun.errors import InvalidValueError, NotFoundError
from flowrun.server.messages import Call, Permission, Route
from flowrun.server.places import check_location
from flowrun.tracking.entities import ViewType
from flowrun.tracking.fields import Fields, JsonObject
from flowrun.tracking.wire import compact, dataset_summary_json, experiment_json

_MAX_EXPERIMENTS_OF_DATASETS = 20
_VIEW_NUMBERS = dict(enumerate(ViewType, start=1))


def create_experiment(call: Call) -> JsonObject:
    """Make an experiment."""
    fields = call.fields
    name = fields.text("name")
    location = fields.text_or_none("artifact_location") or None
    if location:
        check_location(location)
    tags = fields.pairs("tags")
    experiment_id = call.stores.tracking.create_experiment(
        name, artifact_location=location, tags=tags
    )
    return {"experiment_id": experiment_id}


def get_experiment(call: Call) -> JsonObject:
    """Give an experiment by its id."""
    experiment = call.stores.tracking.get_experiment(call.fields.text("experiment_id"))
    return {"experiment": experiment_json(experiment)}


def get_experiment_by_name(call: Call) -> JsonObject:
    """Give an experiment by its name."""
    name = call.fields.text("experiment_name")
    experiment = call.stores.tracking.get_experiment_by_name(name)
    if experiment is None:
        raise NotFoundError(f"Could not find experiment with name '{name}'")
    return {"experiment": experiment_json(experiment)}


def search_experiments(call: Call) -> JsonObject:
    """Find experiments."""
    fields = call.fields
    page = call.stores.tracking.search_experiments(
        view=view_type(fields, "view_type"),
        filter_text=fields.text_or("filter"),
        order_by=fields.texts("order_by"),
        max_results=fields.integer_or("max_results", 1000),
        page_token=fields.text_or_none("page_token") or None,
    )
    return compact(
        experiments=[experiment_json(item) for item in page.items],
        next_page_token=page.next_page_token,
    )


def rename_experiment(call: Call) -> JsonObject:
    """Rename an experiment."""
    experiment_id, name = call.fields.text("experiment_id"), call.fields.text("new_name")
    call.stores.tracking.rename_experiment(experiment_id, name)
    return {}


def delete_experiment(call: Call) -> JsonObject:
    """Mark an experiment as deleted."""
    call.stores.tracking.delete_experiment(call.fields.text("experiment_id"))
    return {}


def restore_experiment(call: Call) -> JsonObject:
    """Take back the deletion of an experiment."""
    call.stores.tracking.restore_experiment(call.fields.text("experiment_id"))
    return {}


def set_experiment_tag(call: Call) -> JsonObject:
    """Set a tag of an experiment."""
    fields = call.fields
    call.stores.tracking.set_experiment_tag(
        fields.text("experiment_id"), fields.text("key"), fields.text_or("value")
    )
    return {}


def delete_experiment_tag(call: Call) -> JsonObject:
    """Remove a tag of an experiment."""
    fields = call.fields
    call.stores.tracking.delete_experiment_tag(fields.text("experiment_id"), fields.text("key"))
    return {}


def search_datasets(call: Call) -> JsonObject:
    """Give the datasets that runs of some experiments read."""
    experiment_ids = call.fields.texts("experiment_ids")
    if not experiment_ids:
        raise InvalidValueError("SearchDatasets request must specify at least one experiment_id.")
    if len(experiment_ids) > _MAX_EXPERIMENTS_OF_DATASETS:
        raise InvalidValueError(
            f"SearchDatasets request cannot specify more than {_MAX_EXPERIMENTS_OF_DATASETS}"
            f" experiment_ids. Received {len(experiment_ids)} experiment_ids."
        )
    found = call.stores.tracking.search_datasets(experiment_ids)
    return compact(dataset_summaries=[dataset_summary_json(summary) for summary in found])


def view_type(fields: Fields, name: str) -> ViewType:
    """Read which lifecycle stages a search looks at: active only, if not said."""
    if not fields.has(name):
        return ViewType.ACTIVE_ONLY
    try:
        return _VIEW_NUMBERS[fields.integer(name)]
    except (InvalidValueError, KeyError):
        text = fields.text_or(name)
    if text not in ViewType.__members__:
        raise InvalidValueError(
            f"Invalid value '{text}' for parameter '{name}' supplied. "
            f"It must be one of {', '.join(ViewType)}."
        )
    return ViewType(text)


_AT = "/api/2.0/mlflow/experiments"
_READ, _WRITE = Permission.READ, Permission.WRITE

ROUTES = (
    Route("POST", f"{_AT}/create", _WRITE, create_experiment),
    Route("GET", f"{_AT}/get", _READ, get_experiment),
    Route("GET", f"{_AT}/get-by-name", _READ, get_experiment_by_name),
    Route("POST", f"{_AT}/search", _READ, search_experiments, is_slow=True),
    Route("GET", f"{_AT}/search", _READ, search_experiments, is_slow=True),
    Route("POST", f"{_AT}/update", _WRITE, rename_experiment),
    Route("POST", f"{_AT}/delete", _WRITE, delete_experiment),
    Route("POST", f"{_AT}/restore", _WRITE, restore_experiment),
    Route("POST", f"{_AT}/set-experiment-tag", _WRITE, set_experiment_tag),
    Route("POST", f"{_AT}/delete-experiment-tag", _WRITE, delete_experiment_tag),
    Route("POST", f"{_AT}/search-datasets", _READ, search_datasets, is_slow=True),
    # MLflow's proto declares it with a slash too few, and its clients that follow it ask there.
    Route(
        "POST",
        "/api/2.0mlflow/experiments/search-datasets",
        _READ,
        search_datasets,
        is_slow=True,
    ),
)
