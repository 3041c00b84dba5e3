"""Rows with ids and times of their own, on both databases."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing

import pytest

from flowrun.errors import InvalidValueError
from flowrun.tracking.entities import (
    Experiment,
    LifecycleStage,
    Metric,
    Run,
    RunInfo,
    RunStatus,
)
from flowrun.tracking.sql.import_rows import FullRun
from flowrun.tracking.sql.importing import SqlTrackingImport
from flowrun.tracking.uri import open_database
from tests.support.stores import tracking_store


@pytest.fixture
def bulk(store_uri: str) -> Iterator[SqlTrackingImport]:
    with tracking_store(store_uri), closing(open_database(store_uri)) as database:
        yield SqlTrackingImport(database)


def experiment(number: str, name: str = "wine") -> Experiment:
    return Experiment(number, name, "", LifecycleStage.ACTIVE, 100, 200, {"team": "blue"})


def full_run(run_id: str, experiment_id: str, *points: Metric) -> FullRun:
    info = RunInfo(
        *(run_id, experiment_id, "name", "ann", RunStatus.FINISHED, 1, 2, "uri"),
        LifecycleStage.DELETED,
    )
    return FullRun(Run(info, params={"p": "v" * 9000}, tags={"t": ""}), lambda: points)


def test_numbers_given_later_are_above_those_that_came(
    bulk: SqlTrackingImport, store_uri: str
) -> None:
    assert bulk.add_experiment(experiment("41"), lambda number: f"root/{number}") == "41"
    with tracking_store(store_uri) as store:
        assert store.create_experiment("next") == "42"
        assert store.get_experiment("41").artifact_location == "root/41"


NOT_KEPT = {"taken": "0", "too long": "123456789012345678"}


@pytest.mark.parametrize("number", NOT_KEPT.values(), ids=NOT_KEPT)
def test_a_number_that_cannot_be_kept_becomes_the_next_one(
    bulk: SqlTrackingImport, number: str
) -> None:
    assert bulk.add_experiment(experiment(number), str) == "1"


def test_a_run_comes_with_everything_at_any_length(bulk: SqlTrackingImport, store_uri: str) -> None:
    number = bulk.add_experiment(experiment("3"), str)
    points = (Metric("m", math.nan, 5, 1), Metric("m", math.inf, 4, 2), Metric("m", 1.0, 9, 1))
    given = full_run("a" * 32, number, *points)
    assert bulk.add_runs([given]) == {}
    with tracking_store(store_uri) as store:
        run = store.get_run("a" * 32)
        history = store.get_metric_history("a" * 32, "m").items
    assert (run.info, run.params, run.tags) == (given.run.info, given.run.params, given.run.tags)
    assert run.metrics["m"].timestamp_ms == 4
    assert [point.timestamp_ms for point in history] == [4, 5, 9]


def test_a_run_whose_history_breaks_off_leaves_nothing_and_the_others_stay(
    bulk: SqlTrackingImport,
) -> None:
    number = bulk.add_experiment(experiment("3"), str)

    def broken() -> Iterator[Metric]:
        yield from (Metric("m", float(step), step, step) for step in range(20_000))
        raise InvalidValueError("line 20001 is odd")

    runs = [
        full_run("a" * 32, number, Metric("m", 1.0, 1)),
        FullRun(full_run("b" * 32, number).run, broken),
        full_run("c" * 32, number, Metric("m", 2.0, 1)),
    ]
    failed = bulk.add_runs(runs)
    assert {run_id: str(error) for run_id, error in failed.items()} == {
        "b" * 32: "line 20001 is odd"
    }
    assert set(bulk.known_runs([letter * 32 for letter in "abc"])) == {"a" * 32, "c" * 32}
    assert list(bulk.history("b" * 32)) == []


def test_a_run_that_is_here_is_left_as_it_is(bulk: SqlTrackingImport) -> None:
    number = bulk.add_experiment(experiment("3"), str)
    bulk.add_runs([full_run("a" * 32, number, Metric("m", 1.0, 1))])
    bulk.add_runs([full_run("a" * 32, number, Metric("m", 2.0, 2))])
    assert [point.value for point in bulk.history("a" * 32)] == [1.0]


def test_one_name_and_one_moment_are_one_experiment(bulk: SqlTrackingImport) -> None:
    number = bulk.add_experiment(experiment("3"), str)
    assert bulk.find_experiment("wine", 100) == (number, True)
    assert bulk.find_experiment("wine", 101) == (number, False)
    assert bulk.find_experiment("beer", 100) == (None, False)
