"""What is logged to runs, in SQL: metrics with their histories, params, tags, inputs, outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from flowrun.errors import FlowrunError, InvalidValueError, NotFoundError
from flowrun.tracking import checks, limits
from flowrun.tracking.entities import (
    Dataset,
    DatasetInput,
    DatasetSummary,
    Metric,
    ModelInput,
    ModelOutput,
)
from flowrun.tracking.sql import search
from flowrun.tracking.sql.database import Connection
from flowrun.tracking.sql.part import SqlPart, marks
from flowrun.tracking.sql.points import add_points, ask_latest, read_latest, stored_value
from flowrun.tracking.sql.runs import find_active_run, find_active_runs, set_tags

# Statements for many rows bind by position: by name costs a third more for each row.
INSERT_MODEL_METRIC = """
    INSERT INTO logged_model_metrics
        (model_id, key, timestamp_ms, step, run_id, value, is_nan, dataset_name, dataset_digest)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
_SELECT_MODEL = "SELECT 1 FROM logged_models WHERE model_id = :model_id"
_INSERT_PARAM = """
    INSERT INTO params (run_pk, key, value) VALUES (?, ?, ?) ON CONFLICT DO NOTHING
"""
_DELETE_TAG = "DELETE FROM tags WHERE run_pk = :run_pk AND key = :key RETURNING key"
_INSERT_DATASET = """
    INSERT INTO datasets
        (experiment_id, name, digest, source_type, source, dataset_schema, dataset_profile)
    VALUES (:experiment_id, :name, :digest, :source_type, :source, :schema, :profile)
    ON CONFLICT DO NOTHING
"""
_SELECT_DATASET = """
    SELECT dataset_pk FROM datasets
    WHERE experiment_id = :experiment_id AND name = :name AND digest = :digest
"""
_INSERT_RUN_DATASET = """
    INSERT INTO run_datasets (run_pk, dataset_pk) VALUES (:run_pk, :dataset_pk)
    ON CONFLICT DO NOTHING RETURNING dataset_pk
"""
_INSERT_DATASET_TAG = """
    INSERT INTO run_dataset_tags (run_pk, dataset_pk, key, value) VALUES (?, ?, ?, ?)
"""
INSERT_RUN_MODEL = """
    INSERT INTO run_models (run_pk, direction, model_id, step) VALUES (?, ?, ?, ?)
    ON CONFLICT DO NOTHING
"""


_FEW = 100
"""Metrics that are written along with those of other calls; more are worth a transaction."""

_Points: TypeAlias = tuple[str, Sequence[Metric]]
"""A run's id and what to log to it."""


class SqlRunData(SqlPart):
    """The logging calls of `SqlTrackingStore`; what each promises is told in the protocol."""

    def log_batch(
        self,
        run_id: str,
        *,
        metrics: Sequence[Metric] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Append metrics, set params (never to another value) and tags, all or nothing."""
        checks.check_run_id(run_id)
        checks.check_metrics(metrics)
        params = checks.check_params(params or {})
        tags = checks.check_tags(tags or {})
        checks.check_batch_size(len(metrics), len(params), len(tags))
        if not params and not tags and _are_few(metrics):
            self._database.write_together(self._log_points, (run_id, metrics))
            return
        with self._database.write(run_id) as connection:
            latest = ask_latest(connection, run_id, {each.key for each in metrics})
            run_pk = find_active_run(connection, run_id).run_pk
            if params:
                _log_params(connection, run_pk, run_id, params)
            if metrics:
                add_points(connection, [(run_pk, metrics)], read_latest(run_pk, latest))
                _log_model_metrics(connection, run_id, [each for each in metrics if each.model_id])
            if tags:
                set_tags(connection, run_pk, tags)

    def delete_tag(self, run_id: str, key: str) -> None:
        """Remove a tag of an active run."""
        with self._database.write(run_id) as connection:
            run_pk = find_active_run(connection, run_id).run_pk
            if not connection.execute(_DELETE_TAG, {"run_pk": run_pk, "key": key}).fetchone():
                raise NotFoundError(f"No tag with name: {key} in run with id {run_id}")

    def log_inputs(
        self,
        run_id: str,
        *,
        datasets: Sequence[DatasetInput] = (),
        models: Sequence[ModelInput] = (),
    ) -> None:
        """Add inputs; a dataset of the same name and digest is stored once for an experiment."""
        checks.check_run_id(run_id)
        for given in datasets:
            checks.check_dataset_input(given)
        with self._database.write() as connection:
            run = find_active_run(connection, run_id)
            for given in datasets:
                log_dataset(connection, run.run_pk, run.experiment_id, given)
            rows = [(run.run_pk, "input", model.model_id, 0) for model in models]
            connection.executemany(INSERT_RUN_MODEL, rows)

    def log_outputs(self, run_id: str, models: Sequence[ModelOutput]) -> None:
        """Add logged models that the run made."""
        with self._database.write(run_id) as connection:
            run_pk = find_active_run(connection, run_id).run_pk
            rows = [(run_pk, "output", model.model_id, model.step) for model in models]
            connection.executemany(INSERT_RUN_MODEL, rows)

    def _log_points(
        self, items: Sequence[_Points], /, *, is_patient: bool
    ) -> Sequence[FlowrunError | None]:
        """Append the metrics of several calls, each to its run."""
        run_ids = {run_id for run_id, _ in items}
        with self._database.write(*run_ids, is_patient=is_patient) as connection:
            run_pks, problems = find_active_runs(connection, run_ids)
            found = [(run_pks[run_id], points) for run_id, points in items if run_id in run_pks]
            add_points(connection, found)
        return [problems.get(run_id) for run_id, _ in items]

    def search_datasets(self, experiment_ids: Sequence[str]) -> list[DatasetSummary]:
        """Give what datasets runs of some experiments read."""
        known = [int(text) for text in experiment_ids if text.isdecimal() and len(text) < 19]
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT DISTINCT experiment_id, name, digest, t.value FROM datasets"
                " JOIN run_datasets USING (dataset_pk)"
                " LEFT JOIN run_dataset_tags t ON t.run_pk = run_datasets.run_pk"
                " AND t.dataset_pk = datasets.dataset_pk AND t.key = ?"
                f" WHERE experiment_id IN ({marks(known)})"
                " ORDER BY experiment_id, name, digest, t.value LIMIT ?",
                (search.CONTEXT_TAG, *known, limits.MAX_DATASET_SUMMARIES),
            ).fetchall()
        return [DatasetSummary(str(experiment_id), *columns) for experiment_id, *columns in rows]


def _are_few(metrics: Sequence[Metric]) -> bool:
    return 0 < len(metrics) <= _FEW and not any(each.model_id for each in metrics)


def _log_model_metrics(connection: Connection, run_id: str, metrics: Sequence[Metric]) -> None:
    for model_id in {metric.model_id for metric in metrics}:
        if not connection.execute(_SELECT_MODEL, {"model_id": model_id}).fetchone():
            raise NotFoundError(f"Logged model with ID '{model_id}' not found.")
    connection.executemany(
        INSERT_MODEL_METRIC,
        [
            (
                *(metric.model_id, metric.key, metric.timestamp_ms, metric.step, run_id),
                *(*stored_value(metric.value), metric.dataset_name, metric.dataset_digest),
            )
            for metric in metrics
        ],
    )


def _log_params(
    connection: Connection, run_pk: int, run_id: str, params: Mapping[str, str]
) -> None:
    known = dict(
        connection.execute(
            f"SELECT key, value FROM params WHERE run_pk = ? AND key IN ({marks(params)})",
            (run_pk, *params),
        ).fetchall()
    )
    changed = [key for key in params if known.get(key, params[key]) != params[key]]
    if changed:
        raise _params_changed(run_id, {key: (known[key], params[key]) for key in changed}, params)
    rows = [(run_pk, key, value) for key, value in params.items()]
    connection.executemany(_INSERT_PARAM, rows)


def _params_changed(
    run_id: str, changed: Mapping[str, tuple[str, str]], params: Mapping[str, str]
) -> InvalidValueError:
    if len(params) == 1:
        # MLflow's words for its call that logs one param; below, for several.
        ((key, (old, new)),) = changed.items()
        return InvalidValueError(
            f"Changing param values is not allowed. Param with key='{key}' was already logged "
            f"with value='{old}' for run ID='{run_id}'. Attempted logging new value '{new}'."
        )
    shown = [
        {"key": key, "old_value": old, "new_value": new} for key, (old, new) in changed.items()
    ]
    return InvalidValueError(
        f"Changing param values is not allowed. Params were already logged='{shown}' "
        f"for run ID='{run_id}'."
    )


def log_dataset(
    connection: Connection, run_pk: int, experiment_id: int, given: DatasetInput
) -> None:
    """Add a dataset that a run read; its tags count the first time only."""
    dataset_pk = _dataset_pk(connection, experiment_id, given.dataset)
    where = {"run_pk": run_pk, "dataset_pk": dataset_pk}
    if connection.execute(_INSERT_RUN_DATASET, where).fetchone():
        rows = [(run_pk, dataset_pk, key, value) for key, value in given.tags.items()]
        connection.executemany(_INSERT_DATASET_TAG, rows)


def _dataset_pk(connection: Connection, experiment_id: int, dataset: Dataset) -> int:
    values = {
        "experiment_id": experiment_id,
        "name": dataset.name,
        "digest": dataset.digest,
        "source_type": dataset.source_type,
        "source": dataset.source,
        "schema": dataset.schema,
        "profile": dataset.profile,
    }
    connection.execute(_INSERT_DATASET, values)
    (dataset_pk,) = connection.execute(_SELECT_DATASET, values).fetchone()
    return int(dataset_pk)
