"""Logged models in SQL."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from flowrun.errors import InvalidValueError, NotFoundError
from flowrun.tracking import checks, limits
from flowrun.tracking.entities import LoggedModel, Metric, ModelStatus, Page
from flowrun.tracking.names import name_from_id
from flowrun.tracking.paging import offset_of, page_of
from flowrun.tracking.sql import search
from flowrun.tracking.sql.database import Connection
from flowrun.tracking.sql.experiments import find_active_experiment
from flowrun.tracking.sql.part import SqlPart, below, chunks, in_order, marks
from flowrun.tracking.sql.query import Bound


class StoredModel(NamedTuple):
    """A row of the table, without params, tags and metrics."""

    model_id: str
    experiment_id: int
    name: str
    artifact_uri: str
    creation_time_ms: int
    last_update_time_ms: int
    status: str
    model_type: str | None
    source_run_id: str | None


_COLUMNS = ", ".join(StoredModel._fields)
_INSERT = """
    INSERT INTO logged_models
        (model_id, experiment_id, name, artifact_uri, creation_time_ms, last_update_time_ms,
         status, model_type, source_run_id, lifecycle_stage)
    VALUES (:model_id, :experiment_id, :name, :artifact_uri, :now, :now,
            'LOGGED_MODEL_PENDING', :model_type, :source_run_id, 'active')
"""
_SELECT = f"SELECT {_COLUMNS} FROM logged_models WHERE model_id = :model_id"
_SELECT_ACTIVE = f"{_SELECT} AND lifecycle_stage = 'active'"
_SET_STATUS = """
    UPDATE logged_models SET status = :status, last_update_time_ms = :now
    WHERE model_id = :model_id
"""
_DELETE = """
    UPDATE logged_models SET lifecycle_stage = 'deleted', last_update_time_ms = :now
    WHERE model_id = :model_id
"""
_INSERT_PARAM = """
    INSERT INTO logged_model_params (model_id, key, value) VALUES (?, ?, ?)
    ON CONFLICT DO NOTHING
"""
_SET_TAG = """
    INSERT INTO logged_model_tags (model_id, key, value) VALUES (?, ?, ?)
    ON CONFLICT (model_id, key) DO UPDATE SET value = excluded.value
"""
_DELETE_TAG = """
    DELETE FROM logged_model_tags WHERE model_id = :model_id AND key = :key RETURNING key
"""


class SqlLoggedModels(SqlPart):
    """The logged models of `SqlTrackingStore`; the protocol tells what each call promises."""

    def create_logged_model(
        self,
        experiment_id: str,
        *,
        name: str | None = None,
        model_type: str | None = None,
        source_run_id: str | None = None,
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> LoggedModel:
        """Make a PENDING model with an artifact folder of its own."""
        checks.check_logged_model_name(name)
        model_id = f"m-{self._new_id()}"
        with self._database.write(model_id) as connection:
            experiment = find_active_experiment(connection, experiment_id)
            connection.execute(
                _INSERT,
                {
                    "model_id": model_id,
                    "experiment_id": experiment.experiment_id,
                    "name": name or name_from_id(model_id),
                    "artifact_uri": below(
                        experiment.artifact_location, "models", model_id, "artifacts"
                    ),
                    "now": self._now(),
                    "model_type": model_type,
                    "source_run_id": source_run_id,
                },
            )
            connection.executemany(_INSERT_PARAM, _rows(model_id, params or {}))
            connection.executemany(_SET_TAG, _rows(model_id, tags or {}))
            return _read_model(connection, model_id)

    def get_logged_model(self, model_id: str) -> LoggedModel:
        """Give a model that is not deleted."""
        with self._database.read() as connection:
            return _read_model(connection, model_id, only_active=True)

    def finalize_logged_model(self, model_id: str, status: ModelStatus) -> LoggedModel:
        """Say that a model's files are all there, or that they failed."""
        with self._database.write(model_id) as connection:
            _find_model(connection, model_id)
            values = {"model_id": model_id, "status": status, "now": self._now()}
            connection.execute(_SET_STATUS, values)
            return _read_model(connection, model_id)

    def delete_logged_model(self, model_id: str) -> None:
        """Mark a model as deleted."""
        with self._database.write(model_id) as connection:
            _find_model(connection, model_id)
            connection.execute(_DELETE, {"model_id": model_id, "now": self._now()})

    def set_logged_model_tags(self, model_id: str, tags: Mapping[str, str]) -> None:
        """Set or replace tags."""
        with self._database.write(model_id) as connection:
            _find_model(connection, model_id)
            connection.executemany(_SET_TAG, _rows(model_id, tags))

    def delete_logged_model_tag(self, model_id: str, key: str) -> None:
        """Remove a tag."""
        with self._database.write(model_id) as connection:
            _find_model(connection, model_id)
            where = {"model_id": model_id, "key": key}
            if not connection.execute(_DELETE_TAG, where).fetchone():
                raise NotFoundError(
                    f"No tag with key {key!r} found for model with ID {model_id!r}."
                )

    def log_logged_model_params(self, model_id: str, params: Mapping[str, str]) -> None:
        """Add params after creation; one that is there already keeps its value."""
        with self._database.write(model_id) as connection:
            _find_model(connection, model_id)
            connection.executemany(_INSERT_PARAM, _rows(model_id, params))

    def search_logged_models(
        self,
        experiment_ids: Sequence[str],
        *,
        filter_text: str = "",
        datasets: Sequence[tuple[str, str | None]] = (),
        order_by: Sequence[tuple[str, bool]] = (),
        max_results: int = 100,
        page_token: str | None = None,
    ) -> Page[LoggedModel]:
        """Find models."""
        checks.check_max_results(max_results, limits.MAX_SEARCH_RESULTS)
        if not all(name for name, _ in datasets):
            raise InvalidValueError("`dataset_name` in the `datasets` clause must be specified.")
        offset = offset_of(page_token)
        numbers = [checks.parse_experiment_id(each) for each in experiment_ids]
        query = search.logged_models_query(numbers, filter_text, datasets, order_by)
        with self._database.read() as connection:
            model_ids = query.keys(connection, max_results + 1, offset)
            found = [model for part in chunks(model_ids) for model in read_models(connection, part)]
        return page_of(found, offset, max_results)


def _find_model(connection: Connection, model_id: str, *, only_active: bool = False) -> StoredModel:
    statement = _SELECT_ACTIVE if only_active else _SELECT
    row = connection.execute(statement, {"model_id": model_id}).fetchone()
    if row is None:
        raise NotFoundError(f"Logged model with ID '{model_id}' not found.")
    return StoredModel._make(row)


def _read_model(connection: Connection, model_id: str, *, only_active: bool = False) -> LoggedModel:
    row = _find_model(connection, model_id, only_active=only_active)
    return _models(connection, [row])[0]


def _rows(model_id: str, pairs: Mapping[str, str]) -> list[tuple[str, str, str]]:
    return [(model_id, key, value) for key, value in pairs.items()]


def read_models(connection: Connection, model_ids: Sequence[Bound]) -> list[LoggedModel]:
    """Give the logged models of some ids, deleted or not, in their order."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM logged_models WHERE model_id IN ({marks(model_ids)})", model_ids
    ).fetchall()
    return _models(connection, [StoredModel._make(row) for row in in_order(model_ids, rows)])


def _models(connection: Connection, stored: Sequence[StoredModel]) -> list[LoggedModel]:
    model_ids = [model.model_id for model in stored]
    params = _pairs(connection, "logged_model_params", model_ids)
    tags = _pairs(connection, "logged_model_tags", model_ids)
    metrics = _metrics(connection, model_ids)
    return [
        LoggedModel(
            model_id=model.model_id,
            experiment_id=str(model.experiment_id),
            name=model.name,
            artifact_uri=model.artifact_uri,
            creation_time_ms=model.creation_time_ms,
            last_update_time_ms=model.last_update_time_ms,
            status=ModelStatus(model.status),
            model_type=model.model_type,
            source_run_id=model.source_run_id,
            tags=tags.get(model.model_id, {}),
            params=params.get(model.model_id, {}),
            metrics=tuple(metrics.get(model.model_id, ())),
        )
        for model in stored
    ]


def _pairs(
    connection: Connection, table: str, model_ids: Sequence[str]
) -> dict[str, dict[str, str]]:
    pairs: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for model_id, key, value in connection.execute(
        f"SELECT model_id, key, value FROM {table} WHERE model_id IN ({marks(model_ids)})",
        model_ids,
    ):
        pairs[model_id][key] = value
    return pairs


def _metrics(connection: Connection, model_ids: Sequence[str]) -> dict[str, list[Metric]]:
    metrics: defaultdict[str, list[Metric]] = defaultdict(list)
    for (
        model_id,
        key,
        value,
        is_nan,
        timestamp_ms,
        step,
        run_id,
        name,
        digest,
    ) in connection.execute(
        "SELECT model_id, key, value, is_nan, timestamp_ms, step, run_id, dataset_name,"
        " dataset_digest FROM logged_model_metrics"
        f" WHERE model_id IN ({marks(model_ids)})",
        model_ids,
    ):
        metrics[model_id].append(
            Metric(
                key=key,
                value=math.nan if is_nan else value,
                timestamp_ms=timestamp_ms,
                step=step,
                model_id=model_id,
                dataset_name=name,
                dataset_digest=digest,
                run_id=run_id,
            )
        )
    return metrics
