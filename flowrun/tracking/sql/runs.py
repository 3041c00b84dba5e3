"""Runs in SQL: made, read, changed, searched. What is logged to them is in `run_data.py`."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from flowrun.errors import InvalidValueError, NotFoundError
from flowrun.tracking import checks, limits
from flowrun.tracking.entities import (
    LifecycleStage,
    Page,
    Run,
    RunInfo,
    RunStatus,
    ViewType,
)
from flowrun.tracking.names import name_from_id
from flowrun.tracking.paging import offset_of, page_of
from flowrun.tracking.sql import search
from flowrun.tracking.sql.experiments import find_active_experiment
from flowrun.tracking.sql.part import SqlPart, below, chunks, in_order, marks
from flowrun.tracking.sql.query import Bound
from flowrun.tracking.sql.run_contents import read_contents

RUN_NAME_TAG = "mlflow.runName"
"""The tag that is a run's name; the two are kept equal. Source: MLflow, MLFLOW_RUN_NAME."""

RunColumns = tuple[int, str, int, str, str, str, int, int | None, str, str]

_COLUMNS = (
    "run_pk, run_id, experiment_id, run_name, user_id, status, start_time_ms, end_time_ms,"
    " artifact_uri, lifecycle_stage"
)
_INSERT = """
    INSERT INTO runs
        (run_id, experiment_id, run_name, user_id, status, start_time_ms, end_time_ms,
         artifact_uri, lifecycle_stage)
    VALUES (:run_id, :experiment_id, :run_name, :user_id, 'RUNNING', :start_time_ms, NULL,
            :artifact_uri, 'active')
    RETURNING run_pk
"""
_INSERT_PARAM = "INSERT INTO params (run_pk, key, value) VALUES (?, ?, ?)"
_SET_TAG = """
    INSERT INTO tags (run_pk, key, value) VALUES (?, ?, ?)
    ON CONFLICT (run_pk, key) DO UPDATE SET value = excluded.value
"""
_SELECT = f"SELECT {_COLUMNS} FROM runs WHERE run_id = :run_id"
_UPDATE = f"""
    UPDATE runs SET
        status = COALESCE(:status, status),
        end_time_ms = COALESCE(:end_time_ms, end_time_ms),
        run_name = COALESCE(:run_name, run_name)
    WHERE run_pk = :run_pk RETURNING {_COLUMNS}
"""
_RENAME = "UPDATE runs SET run_name = :run_name WHERE run_pk = :run_pk"
_SET_STAGE = "UPDATE runs SET lifecycle_stage = :stage WHERE run_pk = :run_pk"


class SqlRuns(SqlPart):
    """The runs of `SqlTrackingStore`; what each call promises is told in the protocol."""

    def create_run(
        self,
        experiment_id: str,
        *,
        user_id: str = "",
        run_name: str | None = None,
        start_time_ms: int | None = None,
        tags: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> Run:
        """Make a RUNNING run in an active experiment."""
        tags = checks.check_tags(tags or {})
        params = checks.check_params(params or {})
        run_id = self._new_id()
        run_name = _name_of(run_id, run_name, tags.get(RUN_NAME_TAG))
        tags[RUN_NAME_TAG] = run_name
        with self._database.write() as connection:
            experiment = find_active_experiment(connection, experiment_id)
            info = RunInfo(
                run_id=run_id,
                experiment_id=str(experiment[0]),
                run_name=run_name,
                user_id=user_id,
                status=RunStatus.RUNNING,
                start_time_ms=self._now() if start_time_ms is None else start_time_ms,
                end_time_ms=None,
                artifact_uri=below(experiment[2], run_id, "artifacts"),
                lifecycle_stage=LifecycleStage.ACTIVE,
            )
            (run_pk,) = connection.execute(
                _INSERT,
                {
                    "run_id": run_id,
                    "experiment_id": experiment[0],
                    "run_name": run_name,
                    "user_id": user_id,
                    "start_time_ms": info.start_time_ms,
                    "artifact_uri": info.artifact_uri,
                },
            ).fetchone()
            connection.executemany(_INSERT_PARAM, _rows(run_pk, params))
            connection.executemany(_SET_TAG, _rows(run_pk, tags))
        return Run(info, params=params, tags=tags)

    def get_run(self, run_id: str) -> Run:
        """Give a run, deleted or not, with everything but its metrics' histories."""
        with self._database.read() as connection:
            return _runs(connection, [find_run(connection, run_id)])[0]

    def update_run(
        self,
        run_id: str,
        *,
        status: RunStatus | None = None,
        end_time_ms: int | None = None,
        run_name: str | None = None,
    ) -> RunInfo:
        """Change what is given of an active run; None leaves a field as it is."""
        with self._database.write() as connection:
            run_pk = find_active_run(connection, run_id)[0]
            row = connection.execute(
                _UPDATE,
                {
                    "run_pk": run_pk,
                    "status": status,
                    "end_time_ms": end_time_ms,
                    "run_name": run_name or None,
                },
            ).fetchone()
            if run_name:
                connection.execute(_SET_TAG, (run_pk, RUN_NAME_TAG, run_name))
        return _info(row)

    def delete_run(self, run_id: str) -> None:
        """Mark a run as deleted."""
        self._set_stage_of_run(run_id, LifecycleStage.DELETED)

    def restore_run(self, run_id: str) -> None:
        """Undo `delete_run`."""
        self._set_stage_of_run(run_id, LifecycleStage.ACTIVE)

    def search_runs(
        self,
        experiment_ids: Sequence[str],
        *,
        filter_text: str = "",
        view: ViewType = ViewType.ACTIVE_ONLY,
        order_by: Sequence[str] = (),
        max_results: int = 1000,
        page_token: str | None = None,
    ) -> Page[Run]:
        """Find runs by MLflow's filter language; default order: newest first, then run id."""
        checks.check_max_results(max_results, limits.MAX_SEARCH_RESULTS)
        offset = offset_of(page_token)
        numbers = [checks.parse_experiment_id(each) for each in experiment_ids]
        query = search.runs_query(numbers, view, filter_text, order_by)
        with self._database.read() as connection:
            run_pks = query.keys(connection, max_results + 1, offset)
            found = [run for part in chunks(run_pks) for run in _read(connection, part)]
        return page_of(found, offset, max_results)

    def _set_stage_of_run(self, run_id: str, stage: LifecycleStage) -> None:
        with self._database.write() as connection:
            run_pk = find_run(connection, run_id)[0]
            connection.execute(_SET_STAGE, {"run_pk": run_pk, "stage": stage})


def find_run(connection: sqlite3.Connection, run_id: str) -> RunColumns:
    """Give a run's row, deleted or not; NotFoundError if there is none."""
    row: RunColumns | None = connection.execute(_SELECT, {"run_id": run_id}).fetchone()
    if row is None:
        raise NotFoundError(f"Run with id={run_id} not found")
    return row


def find_active_run(connection: sqlite3.Connection, run_id: str) -> RunColumns:
    """Give a run's row; InvalidValueError, as MLflow has it, if the run is deleted."""
    row = find_run(connection, run_id)
    if row[9] != LifecycleStage.ACTIVE:
        raise InvalidValueError(
            f"The run {run_id} must be in the 'active' state. Current state is {row[9]}."
        )
    return row


def set_tags(connection: sqlite3.Connection, run_pk: int, tags: Mapping[str, str]) -> None:
    """Set or replace tags of a run; the one that is its name renames the run."""
    connection.executemany(_SET_TAG, _rows(run_pk, tags))
    if name := tags.get(RUN_NAME_TAG):
        connection.execute(_RENAME, {"run_pk": run_pk, "run_name": name})


def _name_of(run_id: str, run_name: str | None, name_tag: str | None) -> str:
    if run_name and name_tag and run_name != name_tag:
        raise InvalidValueError(
            "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with "
            f"different values (run_name='{run_name}', mlflow.runName='{name_tag}')."
        )
    return run_name or name_tag or name_from_id(run_id)


def _rows(run_pk: int, pairs: Mapping[str, str]) -> list[tuple[int, str, str]]:
    return [(run_pk, key, value) for key, value in pairs.items()]


def _read(connection: sqlite3.Connection, run_pks: Sequence[Bound]) -> list[Run]:
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM runs WHERE run_pk IN ({marks(run_pks)})", run_pks
    ).fetchall()
    return _runs(connection, in_order(run_pks, rows))


def _runs(connection: sqlite3.Connection, rows: Sequence[RunColumns]) -> list[Run]:
    contents = read_contents(connection, [row[0] for row in rows])
    return [
        Run(
            _info(row),
            params=contents.params.get(row[0], {}),
            metrics=contents.metrics.get(row[0], {}),
            tags=contents.tags.get(row[0], {}),
            dataset_inputs=tuple(contents.datasets.get(row[0], ())),
            model_inputs=tuple(contents.model_inputs.get(row[0], ())),
            model_outputs=tuple(contents.model_outputs.get(row[0], ())),
        )
        for row in rows
    ]


def _info(row: RunColumns) -> RunInfo:
    return RunInfo(
        run_id=row[1],
        experiment_id=str(row[2]),
        run_name=row[3],
        user_id=row[4],
        status=RunStatus(row[5]),
        start_time_ms=row[6],
        end_time_ms=row[7],
        artifact_uri=row[8],
        lifecycle_stage=LifecycleStage(row[9]),
    )
