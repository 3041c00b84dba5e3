"""Removes for good what was marked as deleted long ago: experiments, runs and logged models.

Only the keeper of a store does this; MLflow's protocol has no call for it. Source of what goes
together: MLflow, `mlflow gc`.
"""

from __future__ import annotations

from collections.abc import Sequence

from flowrun.tracking.sql.database import Database
from flowrun.valueclass import valueclass


@valueclass
class Deleted:
    """An experiment, run or logged model that is marked as deleted."""

    id: str
    artifact_uri: str
    """Of an experiment, where its runs' are."""


_NOTE_RUNS = """
    UPDATE runs SET deleted_time_ms = :now
    WHERE lifecycle_stage = 'deleted' AND deleted_time_ms IS NULL
"""
_RUNS = """
    SELECT run_id, artifact_uri FROM runs
    WHERE lifecycle_stage = 'deleted' AND deleted_time_ms < :before ORDER BY run_pk
"""
_MODELS = """
    SELECT model_id, artifact_uri FROM logged_models
    WHERE (lifecycle_stage = 'deleted' AND last_update_time_ms < :before)
        OR experiment_id IN (
            SELECT experiment_id FROM experiments
            WHERE lifecycle_stage = 'deleted' AND last_update_time_ms < :before
        )
    ORDER BY creation_time_ms, model_id
"""
_EXPERIMENTS = """
    SELECT experiment_id, artifact_location FROM experiments
    WHERE lifecycle_stage = 'deleted' AND last_update_time_ms < :before AND experiment_id <> 0
    ORDER BY experiment_id
"""
_IS_DELETED = "SELECT 1 FROM runs WHERE run_id = :id AND lifecycle_stage = 'deleted'"
_DELETE_RUN = "DELETE FROM runs WHERE run_id = :id AND lifecycle_stage = 'deleted'"
_DELETE_MODEL = """
    DELETE FROM logged_models WHERE model_id = :id AND (lifecycle_stage = 'deleted'
        OR experiment_id IN (
            SELECT experiment_id FROM experiments WHERE lifecycle_stage = 'deleted'
        ))
"""
_IS_EMPTY = """
    SELECT 1 FROM experiments AS e WHERE e.experiment_id = :id AND e.lifecycle_stage = 'deleted'
        AND NOT EXISTS (SELECT 1 FROM runs AS r WHERE r.experiment_id = e.experiment_id)
        AND NOT EXISTS (SELECT 1 FROM logged_models AS m WHERE m.experiment_id = e.experiment_id)
"""
_EMPTY_EXPERIMENT = (
    "DELETE FROM traces WHERE experiment_id = :id",
    "DELETE FROM datasets WHERE experiment_id = :id",
    "DELETE FROM experiment_tags WHERE experiment_id = :id",
    "DELETE FROM experiments WHERE experiment_id = :id",
)


class SqlPurge:
    """What is marked as deleted in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def runs(self, before_ms: int) -> Sequence[Deleted]:
        """Give the runs that were deleted before a time."""
        return self._found(_RUNS, before_ms)

    def models(self, before_ms: int) -> Sequence[Deleted]:
        """Give the logged models that were, or whose experiments were."""
        return self._found(_MODELS, before_ms)

    def experiments(self, before_ms: int) -> Sequence[Deleted]:
        """Give the experiments that were."""
        return self._found(_EXPERIMENTS, before_ms)

    def note_times(self, now_ms: int) -> None:
        """Count from now for runs of which nobody knows when they were deleted."""
        with self._database.write() as connection:
            connection.execute(_NOTE_RUNS, {"now": now_ms})

    def is_deleted(self, run_id: str) -> bool:
        """Tell whether a run is still marked: somebody may have restored it."""
        with self._database.read() as connection:
            return connection.execute(_IS_DELETED, {"id": run_id}).fetchone() is not None

    def remove_run(self, run_id: str) -> None:
        """Remove a run that is still marked, with all that was logged to it."""
        with self._database.write() as connection:
            connection.execute(_DELETE_RUN, {"id": run_id})

    def remove_model(self, model_id: str) -> None:
        """Remove a logged model that is still marked."""
        with self._database.write() as connection:
            connection.execute(_DELETE_MODEL, {"id": model_id})

    def remove_experiment(self, experiment_id: str) -> bool:
        """Remove an experiment with its traces; False if it still has runs or logged models."""
        with self._database.write() as connection:
            values = {"id": int(experiment_id)}
            if connection.execute(_IS_EMPTY, values).fetchone() is None:
                return False
            for statement in _EMPTY_EXPERIMENT:
                connection.execute(statement, values)
        return True

    def _found(self, statement: str, before_ms: int) -> list[Deleted]:
        with self._database.read() as connection:
            rows = connection.execute(statement, {"before": before_ms}).fetchall()
        return [Deleted(str(id_), uri) for id_, uri in rows]
