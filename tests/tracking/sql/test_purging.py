"""What is marked as deleted goes for good, with all that belongs to it, on each database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from flowrun.tracking.entities import Dataset, DatasetInput, Metric, ModelOutput
from flowrun.tracking.sql.database import Database
from flowrun.tracking.sql.purging import SqlPurge
from flowrun.tracking.store import TrackingStore
from flowrun.tracking.uri import open_database
from tests.support.stores import trace_store, tracking_store

LATER = 10**9
OWN = ("runs", "params", "tags", "metrics", "latest_metrics", "datasets", "run_datasets")
OF_MODELS = ("run_models", "logged_models", "logged_model_params")
OF_TRACES = ("traces", "trace_tags", "trace_metadata")


@pytest.fixture
def store(store_uri: str) -> Iterator[TrackingStore]:
    with tracking_store(store_uri) as store:
        yield store


@pytest.fixture
def database(store: TrackingStore, store_uri: str) -> Iterator[Database]:
    del store  # made first
    with closing(open_database(store_uri)) as database:
        yield database


def _full_experiment(store: TrackingStore, store_uri: str) -> tuple[str, str]:
    """Make an experiment with one of everything; give its id and its run's."""
    experiment_id = store.create_experiment("old", tags={"team": "a"})
    run_id = store.create_run(experiment_id, params={"lr": "0.1"}).info.run_id
    store.log_batch(run_id, metrics=[Metric("rmse", 0.5, 1, 0)], tags={"k": "v"})
    data = Dataset("wine", "d1", "local", "wine.csv")
    store.log_inputs(run_id, datasets=[DatasetInput(data, {"mlflow.data.context": "training"})])
    model = store.create_logged_model(experiment_id, source_run_id=run_id, params={"depth": "3"})
    store.log_outputs(run_id, [ModelOutput(model.model_id, 0)])
    with trace_store(store_uri) as traces:
        traces.start_trace(experiment_id, 1, metadata={"m": "1"}, tags={"t": "1"})
    return experiment_id, run_id


def _counts(database: Database) -> dict[str, int]:
    with database.read() as connection:
        counts = {
            table: int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608
            for table in (*OWN, *OF_MODELS, *OF_TRACES, "experiments", "experiment_tags")
        }
    return {table: count for table, count in counts.items() if count}


def test_a_deleted_experiment_leaves_no_row_behind(
    store: TrackingStore, database: Database, store_uri: str
) -> None:
    before = _counts(database)
    experiment_id, run_id = _full_experiment(store, store_uri)
    store.delete_experiment(experiment_id)
    purge = SqlPurge(database)
    assert [each.id for each in purge.experiments(LATER)] == [experiment_id]
    assert not purge.remove_experiment(experiment_id)  # while it has a run
    [run] = purge.runs(LATER)
    assert run.id == run_id
    assert run.artifact_uri.endswith(f"/{run_id}/artifacts")
    purge.remove_run(run_id)
    [model] = purge.models(LATER)
    purge.remove_model(model.id)
    assert purge.remove_experiment(experiment_id)
    assert _counts(database) == before
    store.create_experiment("old")  # its name is free again


def test_what_is_not_deleted_or_was_so_lately_is_not_removed(
    store: TrackingStore, database: Database, store_uri: str
) -> None:
    experiment_id, run_id = _full_experiment(store, store_uri)
    purge = SqlPurge(database)
    everything = _counts(database)
    purge.remove_run(run_id)
    assert not purge.remove_experiment(experiment_id)
    assert _counts(database) == everything
    store.delete_run(run_id)
    assert purge.runs(1_000) == []  # the clock of these stores begins then
    assert [each.id for each in purge.runs(LATER)] == [run_id]
    store.restore_run(run_id)
    assert purge.runs(LATER) == []
    assert not purge.is_deleted(run_id)
