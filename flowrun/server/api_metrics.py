"""Histories of metrics: of one run whole, and of several runs for charts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from flowrun.errors import InvalidValueError
from flowrun.server.api_runs import run_id_of
from flowrun.server.messages import Call, Permission, Route
from flowrun.tracking.entities import Metric
from flowrun.tracking.fields import JsonObject
from flowrun.tracking.store import RunStore
from flowrun.tracking.wire import compact, metric_json, number_json

_MAX_POINTS = 25_000
_MAX_RUNS = 100
_MAX_POINTS_OF_A_RUN = 2500


def get_history(call: Call) -> JsonObject:
    """Give all points of one metric of a run, in pages."""
    fields = call.fields
    run_id, key = run_id_of(fields), fields.text("metric_key")
    max_results = fields.integer_or("max_results", _MAX_POINTS)
    if max_results <= 0:
        raise InvalidValueError(
            f"Invalid value {max_results} for parameter 'max_results' supplied. "
            "It must be a positive integer."
        )
    page = call.stores.tracking.get_metric_history(
        run_id,
        key,
        max_results=max_results,
        page_token=fields.text_or_none("page_token") or None,
    )
    return compact(
        metrics=[metric_json(metric) for metric in page.items],
        next_page_token=page.next_page_token,
    )


def get_history_bulk(call: Call) -> JsonObject:
    """Give the points of one metric of several runs, 25,000 at most."""
    fields = call.fields
    run_ids = fields.texts("run_id")
    _check_runs("GetMetricHistoryBulk", run_ids)
    if not fields.has("metric_key"):
        raise InvalidValueError("GetMetricHistoryBulk request must specify a metric_key.")
    key = fields.text("metric_key")
    most = max(0, min(fields.integer_or("max_results", _MAX_POINTS), _MAX_POINTS))
    points: list[JsonObject] = []
    for run_id in sorted(run_ids):
        for metric in _history(call.stores.tracking, run_id, key):
            if len(points) == most:
                break
            points.append(_point_json(run_id, metric))
    return {"metrics": points}


def get_history_bulk_interval(call: Call) -> JsonObject:
    """Give points of one metric of several runs, evenly chosen, the first and last always."""
    fields = call.fields
    run_ids = fields.texts("run_ids")
    _check_runs("GetMetricHistoryBulkInterval", run_ids)
    key = fields.text("metric_key")
    first, last = fields.integer_or_none("start_step"), fields.integer_or_none("end_step")
    most = fields.integer_or("max_results", _MAX_POINTS_OF_A_RUN)
    if not 1 <= most <= _MAX_POINTS_OF_A_RUN:
        raise InvalidValueError(f"max_results must be between 1 and {_MAX_POINTS_OF_A_RUN}.")
    if (first is None) != (last is None):
        raise InvalidValueError(
            "If either start step or end step are specified, both must be specified."
        )
    if first is not None and last is not None and first > last:
        raise InvalidValueError(
            "end_step must be greater than start_step. "
            f"Found start_step={first} and end_step={last}."
        )
    steps = None if first is None or last is None else (first, last)
    store = call.stores.tracking
    return compact(
        metrics=[
            _point_json(run_id, point)
            for run_id in run_ids
            for point in store.sample_metric_history(run_id, key, most=most, steps=steps)
        ]
    )


def _history(store: RunStore, run_id: str, key: str) -> Iterator[Metric]:
    token = None
    while True:
        page = store.get_metric_history(run_id, key, page_token=token)
        yield from page.items
        token = page.next_page_token
        if token is None:
            return


def _check_runs(request: str, run_ids: Sequence[str]) -> None:
    if not run_ids:
        raise InvalidValueError(f"{request} request must specify at least one run_id.")
    if len(run_ids) > _MAX_RUNS:
        raise InvalidValueError(
            f"{request} request cannot specify more than {_MAX_RUNS}"
            f" run_ids. Received {len(run_ids)} run_ids."
        )


def _point_json(run_id: str, metric: Metric) -> JsonObject:
    return {
        "key": metric.key,
        "value": number_json(metric.value),
        "timestamp": metric.timestamp_ms,
        "step": metric.step,
        "run_id": run_id,
    }


_READ = Permission.READ
_AT = "/mlflow/metrics"

ROUTES = (
    Route("GET", f"/api/2.0{_AT}/get-history", _READ, get_history, is_slow=True),
    Route("GET", f"/ajax-api/2.0{_AT}/get-history-bulk", _READ, get_history_bulk, is_slow=True),
    Route(
        "GET",
        f"/api/2.0{_AT}/get-history-bulk-interval",
        _READ,
        get_history_bulk_interval,
        is_slow=True,
    ),
)
