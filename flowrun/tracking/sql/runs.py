"""Runs in SQL: made, read, changed, searched. What is logged to them is in `run_data.py`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from flowrun.errors import FlowrunError, InvalidValueError, NotFoundError
from flowrun.tracking import checks, limits
from flowrun.tracking.entities import (
    LifecycleStage,
    Page,
    Run,
    RunInfo,
    RunStatus,
    ViewType,
)
from flowrun.tracking.paging import offset_of, page_of
from flowrun.tracking.sql import search
from flowrun.tracking.sql.database import Connection, Rows
from flowrun.tracking.sql.part import SqlPart, T, chunks, in_order, marks
from flowrun.tracking.sql.query import Bound
from flowrun.tracking.sql.run_contents import RunContents, read_contents, read_contents_of

RUN_NAME_TAG = "mlflow.runName"
"""The tag that is a run's name; the two are kept equal. Source: MLflow, MLFLOW_RUN_NAME."""


class StoredRun(NamedTuple):
    """A row of the table, without what was logged to the run."""

    run_pk: int
    run_id: str
    experiment_id: int
    run_name: str
    user_id: str
    status: str
    start_time_ms: int
    end_time_ms: int | None
    artifact_uri: str
    lifecycle_stage: str


# Looking a value up takes a tenth of making it; a page of a search has a thousand runs.
_STATUSES = {str(each): each for each in RunStatus}
_STAGES = {str(each): each for each in LifecycleStage}
_COLUMNS = ", ".join(StoredRun._fields)
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
_DELETE = """
    UPDATE runs SET lifecycle_stage = 'deleted', deleted_time_ms = COALESCE(deleted_time_ms, :now)
    WHERE run_pk = :run_pk
"""
_RESTORE = """
    UPDATE runs SET lifecycle_stage = 'active', deleted_time_ms = NULL WHERE run_pk = :run_pk
"""


class SqlRuns(SqlPart):
    """The runs of `SqlTrackingStore`; what each call promises is told in the protocol."""

    def get_run(self, run_id: str) -> Run:
        """Give a run, deleted or not, with everything but its metrics' histories."""
        with self._database.read() as connection:
            # Both are asked for before the first is read: PostgreSQL gets them in one message.
            row = connection.execute(_SELECT, {"run_id": run_id})
            contents = read_contents_of(connection, run_id)
            return _run(_found(row, run_id), contents)

    def update_run(
        self,
        run_id: str,
        *,
        status: RunStatus | None = None,
        end_time_ms: int | None = None,
        run_name: str | None = None,
    ) -> RunInfo:
        """Change what is given of an active run; None leaves a field as it is."""
        with self._database.write(run_id) as connection:
            run_pk = find_active_run(connection, run_id).run_pk
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
        return _info(StoredRun._make(row))

    def delete_run(self, run_id: str) -> None:
        """Mark a run as deleted."""
        with self._database.write(run_id) as connection:
            run_pk = find_run(connection, run_id).run_pk
            connection.execute(_DELETE, {"run_pk": run_pk, "now": self._now()})

    def restore_run(self, run_id: str) -> None:
        """Undo `delete_run`."""
        with self._database.write(run_id) as connection:
            connection.execute(_RESTORE, {"run_pk": find_run(connection, run_id).run_pk})

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


def find_run(connection: Connection, run_id: str) -> StoredRun:
    """Give a run's row, deleted or not; NotFoundError if there is none."""
    return _found(connection.execute(_SELECT, {"run_id": run_id}), run_id)


def find_active_run(connection: Connection, run_id: str) -> StoredRun:
    """Give a run's row; InvalidValueError, as MLflow has it, if the run is deleted."""
    run = find_run(connection, run_id)
    if run.lifecycle_stage != LifecycleStage.ACTIVE:
        raise _not_active(run)
    return run


def find_active_runs(
    connection: Connection, run_ids: Collection[str]
) -> tuple[dict[str, int], dict[str, FlowrunError]]:
    """Give the keys of those of some runs that are active, and why the others are not."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM runs WHERE run_id IN ({marks(run_ids)})", list(run_ids)
    )
    active: dict[str, int] = {}
    problems: dict[str, FlowrunError] = {}
    for run in map(StoredRun._make, rows):
        if run.lifecycle_stage == LifecycleStage.ACTIVE:
            active[run.run_id] = run.run_pk
        else:
            problems[run.run_id] = _not_active(run)
    missing = [each for each in run_ids if each not in active and each not in problems]
    return active, problems | {each: _no_run(each) for each in missing}


def set_tags(connection: Connection, run_pk: int, tags: Mapping[str, str]) -> None:
    """Set or replace tags of a run; the one that is its name renames the run."""
    connection.executemany(_SET_TAG, _rows(run_pk, tags))
    if name := tags.get(RUN_NAME_TAG):
        connection.execute(_RENAME, {"run_pk": run_pk, "run_name": name})


def _found(rows: Rows, run_id: str) -> StoredRun:
    row = rows.fetchone()
    if row is None:
        raise _no_run(run_id)
    return StoredRun._make(row)


def _not_active(run: StoredRun) -> InvalidValueError:
    return InvalidValueError(
        f"The run {run.run_id} must be in the 'active' state. "
        f"Current state is {run.lifecycle_stage}."
    )


def _no_run(run_id: str) -> NotFoundError:
    return NotFoundError(f"Run with id={run_id} not found")


def _rows(owner: T, pairs: Mapping[str, str]) -> list[tuple[T, str, str]]:
    return [(owner, key, value) for key, value in pairs.items()]


def _read(connection: Connection, run_pks: Sequence[Bound]) -> list[Run]:
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM runs WHERE run_pk IN ({marks(run_pks)})", run_pks
    ).fetchall()
    return _runs(connection, [StoredRun._make(row) for row in in_order(run_pks, rows)])


def _runs(connection: Connection, stored: Sequence[StoredRun]) -> list[Run]:
    contents = read_contents(connection, [run.run_pk for run in stored])
    return [_run(run, contents) for run in stored]


def _run(run: StoredRun, contents: RunContents) -> Run:
    return Run(
        _info(run),
        params=contents.params.get(run.run_pk, {}),
        metrics=contents.metrics.get(run.run_pk, {}),
        tags=contents.tags.get(run.run_pk, {}),
        dataset_inputs=tuple(contents.datasets.get(run.run_pk, ())),
        model_inputs=tuple(contents.model_inputs.get(run.run_pk, ())),
        model_outputs=tuple(contents.model_outputs.get(run.run_pk, ())),
    )


def _info(run: StoredRun) -> RunInfo:
    return RunInfo(
        run_id=run.run_id,
        experiment_id=str(run.experiment_id),
        run_name=run.run_name,
        user_id=run.user_id,
        status=_STATUSES[run.status],
        start_time_ms=run.start_time_ms,
        end_time_ms=run.end_time_ms,
        artifact_uri=run.artifact_uri,
        lifecycle_stage=_STAGES[run.lifecycle_stage],
    )
