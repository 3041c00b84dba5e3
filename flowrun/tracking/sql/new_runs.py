"""Making runs in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flowrun.errors import FlowrunError, InvalidValueError
from flowrun.tracking import checks
from flowrun.tracking.entities import LifecycleStage, Run, RunInfo, RunStatus
from flowrun.tracking.names import name_from_id
from flowrun.tracking.sql.database import Connection
from flowrun.tracking.sql.experiments import StoredExperiment, find_active_experiment
from flowrun.tracking.sql.part import SqlPart, below
from flowrun.tracking.sql.runs import RUN_NAME_TAG
from flowrun.valueclass import valueclass

_INSERT = """
    INSERT INTO runs
        (run_id, experiment_id, run_name, user_id, status, start_time_ms, end_time_ms,
         artifact_uri, lifecycle_stage)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
# By the run's id: its key would have to be waited for.
_INSERT_PARAM = """
    INSERT INTO params (run_pk, key, value)
    VALUES ((SELECT run_pk FROM runs WHERE run_id = ?), ?, ?)
"""
_INSERT_TAG = """
    INSERT INTO tags (run_pk, key, value)
    VALUES ((SELECT run_pk FROM runs WHERE run_id = ?), ?, ?)
"""


@valueclass
class _NewRun:
    """A run to be made in an experiment that nobody has looked at yet."""

    run_id: str
    experiment_id: str
    run_name: str
    user_id: str
    start_time_ms: int
    params: Mapping[str, str]
    tags: Mapping[str, str]

    def within(self, experiment: StoredExperiment) -> Run:
        """Give the run in its experiment."""
        info = RunInfo(
            run_id=self.run_id,
            experiment_id=str(experiment.experiment_id),
            run_name=self.run_name,
            user_id=self.user_id,
            status=RunStatus.RUNNING,
            start_time_ms=self.start_time_ms,
            end_time_ms=None,
            artifact_uri=below(experiment.artifact_location, self.run_id, "artifacts"),
            lifecycle_stage=LifecycleStage.ACTIVE,
        )
        return Run(info, params=self.params, tags=self.tags)


class SqlNewRuns(SqlPart):
    """`create_run` of `SqlTrackingStore`; what it promises is told in the protocol."""

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
        new = _NewRun(
            run_id=run_id,
            experiment_id=experiment_id,
            run_name=run_name,
            user_id=user_id,
            start_time_ms=self._now() if start_time_ms is None else start_time_ms,
            params=params,
            tags={**tags, RUN_NAME_TAG: run_name},
        )
        return self._database.write_together(self._create_runs, new)

    def _create_runs(
        self, new: Sequence[_NewRun], /, *, is_patient: bool
    ) -> Sequence[Run | FlowrunError]:
        # Nobody else knows the ids yet, so one of them is enough of a name.
        with self._database.write(new[0].run_id, is_patient=is_patient) as connection:
            experiments = {
                experiment_id: _active_experiment(connection, experiment_id)
                for experiment_id in {each.experiment_id for each in new}
            }
            results = [_made(each, experiments[each.experiment_id]) for each in new]
            _insert(connection, [each for each in results if isinstance(each, Run)])
        return results


def _active_experiment(
    connection: Connection, experiment_id: str
) -> StoredExperiment | FlowrunError:
    try:
        return find_active_experiment(connection, experiment_id)
    except FlowrunError as error:
        return error


def _made(new: _NewRun, experiment: StoredExperiment | FlowrunError) -> Run | FlowrunError:
    return experiment if isinstance(experiment, FlowrunError) else new.within(experiment)


def _insert(connection: Connection, runs: Sequence[Run]) -> None:
    infos = [run.info for run in runs]
    connection.executemany(
        _INSERT,
        [
            (
                *(info.run_id, int(info.experiment_id), info.run_name, info.user_id),
                *(info.status.value, info.start_time_ms, None),
                *(info.artifact_uri, info.lifecycle_stage.value),
            )
            for info in infos
        ],
    )
    connection.executemany(
        _INSERT_PARAM, [(run.info.run_id, *pair) for run in runs for pair in run.params.items()]
    )
    connection.executemany(
        _INSERT_TAG, [(run.info.run_id, *pair) for run in runs for pair in run.tags.items()]
    )


def _name_of(run_id: str, run_name: str | None, name_tag: str | None) -> str:
    if run_name and name_tag and run_name != name_tag:
        raise InvalidValueError(
            "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with "
            f"different values (run_name='{run_name}', mlflow.runName='{name_tag}')."
        )
    return run_name or name_tag or name_from_id(run_id)
