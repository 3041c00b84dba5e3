"""The rows of whole runs and logged models, as another store has them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from flowrun.errors import InvalidValueError
from flowrun.tracking.entities import LifecycleStage, LoggedModel, Metric, Run, RunInfo
from flowrun.tracking.sql.database import Connection
from flowrun.tracking.sql.points import INSERT_METRIC, SET_LATEST_METRIC, stored_value
from flowrun.tracking.sql.run_data import INSERT_MODEL_METRIC, INSERT_RUN_MODEL, log_dataset
from flowrun.valueclass import valueclass

_ROWS_AT_ONCE = 10_000

_INSERT_RUN = """
    INSERT INTO runs
        (run_id, experiment_id, run_name, user_id, status, start_time_ms, end_time_ms,
         artifact_uri, lifecycle_stage)
    VALUES (:run_id, :experiment_id, :run_name, :user_id, :status, :start_time_ms, :end_time_ms,
            :artifact_uri, :lifecycle_stage)
    ON CONFLICT DO NOTHING RETURNING run_pk
"""
_INSERT_PARAM = "INSERT INTO params (run_pk, key, value) VALUES (?, ?, ?)"
_INSERT_TAG = "INSERT INTO tags (run_pk, key, value) VALUES (?, ?, ?)"
_INSERT_MODEL = """
    INSERT INTO logged_models
        (model_id, experiment_id, name, artifact_uri, creation_time_ms, last_update_time_ms,
         status, model_type, source_run_id, lifecycle_stage)
    VALUES (:model_id, :experiment_id, :name, :artifact_uri, :creation_time_ms,
            :last_update_time_ms, :status, :model_type, :source_run_id, :lifecycle_stage)
    ON CONFLICT DO NOTHING RETURNING model_id
"""
_INSERT_MODEL_PARAM = "INSERT INTO logged_model_params (model_id, key, value) VALUES (?, ?, ?)"
_INSERT_MODEL_TAG = "INSERT INTO logged_model_tags (model_id, key, value) VALUES (?, ?, ?)"


@valueclass
class FullRun:
    """A run with all points of its metrics, which are read while it is written."""

    run: Run
    history: Callable[[], Iterable[Metric]]


def add_run(connection: Connection, full: FullRun) -> None:
    """Add a run with everything in it; nothing happens if it is there already."""
    run = full.run
    _check_texts((run.info.run_name, run.info.user_id))
    _check_texts((*run.params.keys(), *run.params.values(), *run.tags.keys(), *run.tags.values()))
    row = connection.execute(_INSERT_RUN, _run_values(run.info)).fetchone()
    if row is None:
        return
    (run_pk,) = row
    connection.executemany(_INSERT_PARAM, [(run_pk, k, v) for k, v in run.params.items()])
    connection.executemany(_INSERT_TAG, [(run_pk, k, v) for k, v in run.tags.items()])
    latest: dict[str, tuple[int, int, float, int]] = {}
    rows = _metric_rows(run_pk, full.history(), latest)
    # In pieces, so that an error of the source is raised between statements and not within one.
    while piece := list(islice(rows, _ROWS_AT_ONCE)):
        connection.executemany(INSERT_METRIC, piece)
    connection.executemany(
        SET_LATEST_METRIC, [(run_pk, key, *point) for key, point in latest.items()]
    )
    for given in run.dataset_inputs:
        log_dataset(connection, run_pk, int(run.info.experiment_id), given)
    models = [(run_pk, "input", each.model_id, 0) for each in run.model_inputs]
    models += [(run_pk, "output", each.model_id, each.step) for each in run.model_outputs]
    connection.executemany(INSERT_RUN_MODEL, models)


def _check_texts(texts: Iterable[str]) -> None:
    """Refuse what no store keeps, before a statement fails and takes the transaction with it."""
    for text in texts:
        if "\0" in text:
            raise InvalidValueError(f"{text[:80]!r} holds a NUL character, which no store keeps")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InvalidValueError(f"{text[:80]!r} holds half a character") from None


def _metric_rows(
    run_pk: int, points: Iterable[Metric], latest: dict[str, tuple[int, int, float, int]]
) -> Iterator[tuple[object, ...]]:
    """Give the rows of points, and put the latest point of each key into `latest`."""
    for metric in points:
        value, is_nan = stored_value(metric.value)
        point = (metric.step, metric.timestamp_ms, value, is_nan)
        known = latest.get(metric.key)
        if known is None or point[:3] > known[:3]:
            latest[metric.key] = point
        yield run_pk, metric.key, metric.timestamp_ms, metric.step, value, is_nan


def _run_values(info: RunInfo) -> dict[str, object]:
    return {
        "run_id": info.run_id,
        "experiment_id": int(info.experiment_id),
        "run_name": info.run_name,
        "user_id": info.user_id,
        "status": info.status,
        "start_time_ms": info.start_time_ms,
        "end_time_ms": info.end_time_ms,
        "artifact_uri": info.artifact_uri,
        "lifecycle_stage": info.lifecycle_stage,
    }


def add_model(connection: Connection, model: LoggedModel, stage: LifecycleStage) -> None:
    """Add a logged model; nothing happens if it is there already."""
    values = {
        "model_id": model.model_id,
        "experiment_id": int(model.experiment_id),
        "name": model.name,
        "artifact_uri": model.artifact_uri,
        "creation_time_ms": model.creation_time_ms,
        "last_update_time_ms": model.last_update_time_ms,
        "status": model.status,
        "model_type": model.model_type,
        "source_run_id": model.source_run_id,
        "lifecycle_stage": stage,
    }
    if connection.execute(_INSERT_MODEL, values).fetchone() is None:
        return
    rows = [(model.model_id, key, value) for key, value in model.params.items()]
    connection.executemany(_INSERT_MODEL_PARAM, rows)
    rows = [(model.model_id, key, value) for key, value in model.tags.items()]
    connection.executemany(_INSERT_MODEL_TAG, rows)
    connection.executemany(
        INSERT_MODEL_METRIC,
        [
            (
                *(model.model_id, each.key, each.timestamp_ms, each.step, each.run_id or ""),
                *(*stored_value(each.value), each.dataset_name, each.dataset_digest),
            )
            for each in model.metrics
        ],
    )
