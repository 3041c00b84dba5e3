"""Ordering by a metric, which looks at the best runs of an index first: the order is the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from flowrun.tracking.entities import Metric
from flowrun.tracking.sql.query import BEST_ROWS
from flowrun.tracking.store import TrackingStore
from tests.support.postgres import PostgresServer
from tests.support.stores import tracking_store

pytestmark = pytest.mark.slow

RUNS = BEST_ROWS + 300


@dataclass(frozen=True)
class Logged:
    """What the test knows of a run."""

    run_id: str
    start: int
    score: float | None
    group: float


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
)
def stored(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[TrackingStore, list[Logged]]]:
    """Give a store of runs: 40 values among all of them, some nan, some without the metric."""
    place: Path | str = tmp_path_factory.mktemp("store") / "flowrun.db"
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        place = server.new_store()
    with tracking_store(place) as store:
        yield store, [log_run(store, number) for number in range(RUNS)]


def log_run(store: TrackingStore, number: int) -> Logged:
    score = None if number % 50 == 0 else math.nan if number % 51 == 0 else number % 40
    run_id = store.create_run("0", start_time_ms=number % 7).info.run_id
    metrics = [Metric("group", number % 10, 1, 0)]
    if score is not None:
        metrics.append(Metric("score", score, 1, 0))
    store.log_batch(run_id, metrics=metrics)
    return Logged(run_id, number % 7, score, number % 10)


def place(run: Logged, sign: int) -> tuple[int, float, int, str]:
    """Give the key that MLflow's order sorts by: numbers, nan, absent; then newest first, by id."""
    if run.score is None or math.isnan(run.score):
        return (2 if run.score is None else 1, 0.0, -run.start, run.run_id)
    return (0, sign * run.score, -run.start, run.run_id)


CASES: dict[str, tuple[str, Callable[[Logged], bool]]] = {
    "all": ("", lambda _: True),
    "most": ("metrics.group < 9", lambda run: run.group < 9),
    "few": ("metrics.group = 3", lambda run: run.group == 3),
    "none": ("metrics.group > 100", lambda _: False),
}


@pytest.mark.parametrize("way", ["ASC", "DESC"])
@pytest.mark.parametrize(("text", "keep"), CASES.values(), ids=CASES)
def test_pages_of_an_ordering_by_a_metric_are_those_of_the_whole_order(
    stored: tuple[TrackingStore, list[Logged]],
    way: str,
    text: str,
    keep: Callable[[Logged], bool],
) -> None:
    store, logged = stored
    sign = 1 if way == "ASC" else -1
    expected = [
        run.run_id for run in sorted(filter(keep, logged), key=lambda run: place(run, sign))
    ]
    found: list[str] = []
    token = None
    while True:
        page = store.search_runs(
            ["0"],
            filter_text=text,
            order_by=[f"metrics.score {way}"],
            max_results=230,
            page_token=token,
        )
        found += [run.info.run_id for run in page.items]
        token = page.next_page_token
        if token is None:
            break
    assert found == expected


def test_runs_of_other_experiments_are_passed_over(
    stored: tuple[TrackingStore, list[Logged]],
) -> None:
    store, _ = stored
    other = store.create_experiment("other")
    run_id = store.create_run(other).info.run_id
    store.log_batch(run_id, metrics=[Metric("score", -5, 1, 0)])
    page = store.search_runs([other], order_by=["metrics.score ASC"], max_results=1)
    assert [run.info.run_id for run in page.items] == [run_id]
    first = store.search_runs(["0"], order_by=["metrics.score ASC"], max_results=1).items[0]
    assert first.metrics["score"].value == 0
