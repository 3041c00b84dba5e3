"""Experiments and their tags in SQL."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from flowrun.errors import (
    AlreadyExistsError,
    InvalidStateError,
    InvalidValueError,
    NotFoundError,
)
from flowrun.tracking import checks, limits
from flowrun.tracking.entities import Experiment, LifecycleStage, Page, ViewType
from flowrun.tracking.paging import offset_of, page_of
from flowrun.tracking.sql import search
from flowrun.tracking.sql.database import Connection
from flowrun.tracking.sql.part import SqlPart, below, chunks, in_order, marks
from flowrun.tracking.sql.query import Bound

DEFAULT_EXPERIMENT_ID = "0"
"""The experiment `Default`, which every store has."""


class StoredExperiment(NamedTuple):
    """A row of the table, without its tags."""

    experiment_id: int
    name: str
    artifact_location: str
    lifecycle_stage: str
    creation_time_ms: int
    last_update_time_ms: int


_COLUMNS = ", ".join(StoredExperiment._fields)
_INSERT = """
    INSERT INTO experiments
        (name, artifact_location, lifecycle_stage, creation_time_ms, last_update_time_ms)
    VALUES (:name, '', 'active', :now, :now)
    ON CONFLICT DO NOTHING RETURNING experiment_id
"""
_INSERT_DEFAULT = """
    INSERT INTO experiments
        (experiment_id, name, artifact_location, lifecycle_stage,
         creation_time_ms, last_update_time_ms)
    VALUES (0, 'Default', :location, 'active', :now, :now)
    ON CONFLICT DO NOTHING
"""
_SELECT = f"SELECT {_COLUMNS} FROM experiments WHERE experiment_id = :id"
_SELECT_BY_NAME = f"SELECT {_COLUMNS} FROM experiments WHERE name = :name"
_SET_LOCATION = "UPDATE experiments SET artifact_location = :location WHERE experiment_id = :id"
_RENAME = """
    UPDATE experiments SET name = :name, last_update_time_ms = :now WHERE experiment_id = :id
"""
_SET_STAGE = """
    UPDATE experiments SET lifecycle_stage = :stage, last_update_time_ms = :now
    WHERE experiment_id = :id
"""
_SET_STAGE_OF_RUNS = """
    UPDATE runs SET lifecycle_stage = :stage,
        deleted_time_ms = CASE WHEN :stage = 'active' THEN NULL
                               ELSE COALESCE(deleted_time_ms, :now) END
    WHERE experiment_id = :id
"""
_SET_TAG = """
    INSERT INTO experiment_tags (experiment_id, key, value) VALUES (:id, :key, :value)
    ON CONFLICT (experiment_id, key) DO UPDATE SET value = excluded.value
"""
_DELETE_TAG = """
    DELETE FROM experiment_tags WHERE experiment_id = :id AND key = :key RETURNING key
"""


class SqlExperiments(SqlPart):
    """The experiments of `SqlTrackingStore`; what each call promises is told in the protocol."""

    def create_experiment(
        self,
        name: str,
        *,
        artifact_location: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Make an experiment and give its id."""
        checks.check_experiment_name(name)
        location = checks.check_artifact_location(artifact_location or "")
        for key, value in (tags or {}).items():
            checks.check_experiment_tag(key, value)
        with self._database.write() as connection:
            row = connection.execute(_INSERT, {"name": name, "now": self._now()}).fetchone()
            if row is None:
                raise _name_is_taken(name)
            (number,) = row
            location = location or below(self._artifact_root, str(number))
            connection.execute(_SET_LOCATION, {"id": number, "location": location})
            for key, value in (tags or {}).items():
                connection.execute(_SET_TAG, {"id": number, "key": key, "value": value})
        return str(number)

    def get_experiment(self, experiment_id: str) -> Experiment:
        """Give an experiment, deleted or not."""
        with self._database.read() as connection:
            row = find_experiment(connection, experiment_id)
            return _experiments(connection, [row])[0]

    def get_experiment_by_name(self, name: str) -> Experiment | None:
        """Give the experiment of this name, deleted or not; None if there is none."""
        with self._database.read() as connection:
            row = connection.execute(_SELECT_BY_NAME, {"name": name}).fetchone()
            return _experiments(connection, [row])[0] if row else None

    def search_experiments(
        self,
        *,
        view: ViewType = ViewType.ACTIVE_ONLY,
        filter_text: str = "",
        order_by: Sequence[str] = (),
        max_results: int = 1000,
        page_token: str | None = None,
    ) -> Page[Experiment]:
        """Find experiments; default order: newest first."""
        checks.check_max_results(max_results, limits.MAX_SEARCH_RESULTS)
        offset = offset_of(page_token)
        query = search.experiments_query(view, filter_text, order_by)
        with self._database.read() as connection:
            numbers = query.keys(connection, max_results + 1, offset)
            found = [each for part in chunks(numbers) for each in _read(connection, part)]
        return page_of(found, offset, max_results)

    def rename_experiment(self, experiment_id: str, name: str) -> None:
        """Give an active experiment another name."""
        checks.check_experiment_name(name)
        with self._database.write() as connection:
            row = find_experiment(connection, experiment_id)
            if row.lifecycle_stage != LifecycleStage.ACTIVE:
                raise InvalidStateError("Cannot rename a non-active experiment.")
            taken = connection.execute(_SELECT_BY_NAME, {"name": name}).fetchone()
            if taken and taken[0] != row.experiment_id:
                raise _name_is_taken(name)
            connection.execute(_RENAME, {"id": row.experiment_id, "name": name, "now": self._now()})

    def delete_experiment(self, experiment_id: str) -> None:
        """Mark an experiment and its runs as deleted."""
        self._set_stage(experiment_id, LifecycleStage.ACTIVE, LifecycleStage.DELETED)

    def restore_experiment(self, experiment_id: str) -> None:
        """Undo `delete_experiment`."""
        self._set_stage(experiment_id, LifecycleStage.DELETED, LifecycleStage.ACTIVE)

    def set_experiment_tag(self, experiment_id: str, key: str, value: str) -> None:
        """Set or replace a tag of an active experiment."""
        checks.check_experiment_tag(key, value)
        with self._database.write() as connection:
            number = find_active_experiment(connection, experiment_id).experiment_id
            connection.execute(_SET_TAG, {"id": number, "key": key, "value": value})

    def delete_experiment_tag(self, experiment_id: str, key: str) -> None:
        """Remove a tag of an active experiment."""
        with self._database.write() as connection:
            number = find_active_experiment(connection, experiment_id).experiment_id
            deleted = connection.execute(_DELETE_TAG, {"id": number, "key": key}).fetchone()
            if deleted is None:
                raise NotFoundError(
                    f"No tag with name: {key} in experiment with id {experiment_id}"
                )

    def make_default_experiment(self) -> None:
        """Make the experiment `Default` if the store is new."""
        with self._database.read() as connection:
            if connection.execute(_SELECT, {"id": 0}).fetchone():
                return
        with self._database.write() as connection:
            location = below(self._artifact_root, DEFAULT_EXPERIMENT_ID)
            connection.execute(_INSERT_DEFAULT, {"location": location, "now": self._now()})

    def _set_stage(self, experiment_id: str, before: LifecycleStage, after: LifecycleStage) -> None:
        with self._database.write() as connection:
            row = find_experiment(connection, experiment_id)
            if row.lifecycle_stage != before:
                raise _not_found(row.experiment_id)
            values = {"id": row.experiment_id, "stage": after, "now": self._now()}
            connection.execute(_SET_STAGE, values)
            connection.execute(_SET_STAGE_OF_RUNS, values)


def find_experiment(connection: Connection, experiment_id: str) -> StoredExperiment:
    """Give an experiment's row, deleted or not; NotFoundError if there is none."""
    number = checks.parse_experiment_id(experiment_id or DEFAULT_EXPERIMENT_ID)
    row = connection.execute(_SELECT, {"id": number}).fetchone()
    if row is None:
        raise _not_found(number)
    return StoredExperiment._make(row)


def find_active_experiment(connection: Connection, experiment_id: str) -> StoredExperiment:
    """Give an experiment's row; InvalidValueError, as MLflow has it, if it is deleted."""
    row = find_experiment(connection, experiment_id)
    if row.lifecycle_stage != LifecycleStage.ACTIVE:
        raise InvalidValueError(
            f"The experiment {row.experiment_id} must be in the 'active' state. "
            f"Current state is {row.lifecycle_stage}."
        )
    return row


def _read(connection: Connection, numbers: Sequence[Bound]) -> list[Experiment]:
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM experiments WHERE experiment_id IN ({marks(numbers)})", numbers
    ).fetchall()
    return _experiments(connection, in_order(numbers, rows))


def _experiments(connection: Connection, rows: Sequence[StoredExperiment]) -> list[Experiment]:
    numbers = [row[0] for row in rows]
    tags: defaultdict[int, dict[str, str]] = defaultdict(dict)
    for number, key, value in connection.execute(
        "SELECT experiment_id, key, value FROM experiment_tags"
        f" WHERE experiment_id IN ({marks(numbers)})",
        numbers,
    ):
        tags[number][key] = value
    return [
        Experiment(
            experiment_id=str(number),
            name=name,
            artifact_location=location,
            lifecycle_stage=LifecycleStage(stage),
            creation_time_ms=created,
            last_update_time_ms=updated,
            tags=tags.get(number, {}),
        )
        for number, name, location, stage, created, updated in rows
    ]


def _not_found(number: int) -> NotFoundError:
    return NotFoundError(f"No Experiment with id={number} exists")


def _name_is_taken(name: str) -> AlreadyExistsError:
    return AlreadyExistsError(
        f"Experiment(name={name}) already exists.",
        "A deleted experiment keeps its name until it is purged: restore it, or take another name.",
    )
