"""Writes experiments, runs and logged models with the ids and times they have elsewhere.

The store's own calls make ids and times, and check each value against MLflow's limits. An import
takes over what another store already accepted, so this writes rows as they are given: whole runs
or none of one, many of them in a transaction. What is there already is never touched.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from flowrun.errors import FlowrunError
from flowrun.tracking.entities import Experiment, LifecycleStage, LoggedModel, Metric
from flowrun.tracking.sql.database import Connection, Database
from flowrun.tracking.sql.import_rows import FullRun, add_model, add_run
from flowrun.tracking.sql.logged_models import read_models
from flowrun.tracking.sql.part import chunks, marks

_LARGEST_KEPT_ID = 2**31 - 1
"""File stores number experiments with 18 digits; kept, all later ones would be as long."""

_SELECT_SAME = """
    SELECT experiment_id FROM experiments
    WHERE name = :name AND creation_time_ms = :creation_time_ms
"""
_SELECT_NAME = "SELECT experiment_id FROM experiments WHERE name = :name"
_SELECT_ID = "SELECT experiment_id FROM experiments WHERE experiment_id = :experiment_id"
_INSERT_EXPERIMENT = """
    INSERT INTO experiments
        (name, artifact_location, lifecycle_stage, creation_time_ms, last_update_time_ms)
    VALUES (:name, '', :lifecycle_stage, :creation_time_ms, :last_update_time_ms)
    RETURNING experiment_id
"""
_INSERT_EXPERIMENT_WITH_ID = """
    INSERT INTO experiments
        (experiment_id, name, artifact_location, lifecycle_stage, creation_time_ms,
         last_update_time_ms)
    VALUES (:experiment_id, :name, '', :lifecycle_stage, :creation_time_ms, :last_update_time_ms)
    RETURNING experiment_id
"""
_SET_LOCATION = """
    UPDATE experiments SET artifact_location = :location WHERE experiment_id = :experiment_id
"""
_ADD_EXPERIMENT_TAG = """
    INSERT INTO experiment_tags (experiment_id, key, value) VALUES (?, ?, ?)
    ON CONFLICT DO NOTHING
"""
_SELECT_HISTORY = """
    SELECT key, timestamp_ms, step, value, is_nan FROM metrics
    WHERE run_pk = (SELECT run_pk FROM runs WHERE run_id = :run_id)
"""


class SqlTrackingImport:
    """Adds what another store has to a SQL tracking store; the store itself stays open to all."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find_experiment(self, name: str, creation_time_ms: int) -> tuple[str | None, bool]:
        """Give the id of the experiment of this name, and whether it is as old to the millisecond.

        Two experiments of one name and one moment are one: an import made it earlier.
        """
        values = {"name": name, "creation_time_ms": creation_time_ms}
        with self._database.read() as connection:
            row = connection.execute(_SELECT_SAME, values).fetchone()
            if row is not None:
                return str(row[0]), True
            row = connection.execute(_SELECT_NAME, {"name": name}).fetchone()
            return (None if row is None else str(row[0])), False

    def add_experiment(self, experiment: Experiment, location: Callable[[str], str]) -> str:
        """Add an experiment and give its id: the one it has, if that is free and not huge.

        Args:
            experiment: with its name and times as they are to be here.
            location: gives its artifact location, from the id it gets.
        """
        wanted = int(experiment.experiment_id)
        values = {
            "experiment_id": wanted,
            "name": experiment.name,
            "lifecycle_stage": experiment.lifecycle_stage,
            "creation_time_ms": experiment.creation_time_ms,
            "last_update_time_ms": experiment.last_update_time_ms,
        }
        with self._database.write() as connection:
            is_taken = connection.execute(_SELECT_ID, {"experiment_id": wanted}).fetchone()
            insert = _INSERT_EXPERIMENT_WITH_ID
            if is_taken or not 0 < wanted <= _LARGEST_KEPT_ID:
                insert = _INSERT_EXPERIMENT
                del values["experiment_id"]
            (number,) = connection.execute(insert, values).fetchone()
            self._database.skip_numbers(connection, "experiments", "experiment_id", number)
            where = {"experiment_id": number, "location": location(str(number))}
            connection.execute(_SET_LOCATION, where)
            _add_experiment_tags(connection, number, experiment.tags)
        return str(number)

    def add_experiment_tags(self, experiment_id: str, tags: Mapping[str, str]) -> None:
        """Add the tags whose keys the experiment does not have yet."""
        with self._database.write() as connection:
            _add_experiment_tags(connection, int(experiment_id), tags)

    def known_runs(self, run_ids: Sequence[str]) -> dict[str, str]:
        """Give those of the runs that are here, with the experiments they are in."""
        return self._known("runs", "run_id", run_ids)

    def known_models(self, model_ids: Sequence[str]) -> dict[str, str]:
        """Give those of the logged models that are here, with their experiments."""
        return self._known("logged_models", "model_id", model_ids)

    def add_runs(self, runs: Iterable[FullRun]) -> dict[str, FlowrunError]:
        """Add runs that are not here yet, in one transaction.

        Returns:
            The ids of runs that could not be read whole, with the reason; nothing of them is added.
        """
        failed: dict[str, FlowrunError] = {}
        with self._database.write() as connection:
            for each in runs:
                connection.execute("SAVEPOINT one_run")
                try:
                    add_run(connection, each)
                except FlowrunError as error:
                    connection.execute("ROLLBACK TO one_run")
                    failed[each.run.info.run_id] = error
                connection.execute("RELEASE one_run")
        return failed

    def add_models(self, models: Iterable[tuple[LoggedModel, LifecycleStage]]) -> None:
        """Add logged models that are not here yet, in one transaction."""
        with self._database.write() as connection:
            for model, stage in models:
                add_model(connection, model, stage)

    def history(self, run_id: str) -> Iterator[Metric]:
        """Give all points of all metrics of a run, in any order."""
        with self._database.read() as connection:
            for key, timestamp_ms, step, value, is_nan in connection.execute(
                _SELECT_HISTORY, {"run_id": run_id}
            ):
                yield Metric(key, math.nan if is_nan else value, timestamp_ms, step)

    def model(self, model_id: str) -> LoggedModel | None:
        """Give a logged model, deleted or not; None if there is none."""
        if model_id not in self.known_models([model_id]):
            return None
        with self._database.read() as connection:
            return read_models(connection, [model_id])[0]

    def _known(self, table: str, column: str, ids: Sequence[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        with self._database.read() as connection:
            for part in chunks(ids):
                rows = connection.execute(
                    f"SELECT {column}, experiment_id FROM {table}"
                    f" WHERE {column} IN ({marks(part)})",
                    part,
                )
                found |= {key: str(number) for key, number in rows}
        return found


def _add_experiment_tags(connection: Connection, number: int, tags: Mapping[str, str]) -> None:
    rows = [(number, key, value) for key, value in tags.items()]
    connection.executemany(_ADD_EXPERIMENT_TAG, rows)
