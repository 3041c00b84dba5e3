"""Calls that write at once on PostgreSQL share transactions, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import pytest

from flowrun.errors import (
    FlowrunError,
    InvalidValueError,
    NotFoundError,
    StoreError,
    StoreUnavailableError,
)
from flowrun.tracking.entities import Metric, Run
from flowrun.tracking.sql.together import Together
from flowrun.tracking.store import TrackingStore
from flowrun.tracking.turns import Meeting, take_turns
from tests.support.postgres import PostgresServer
from tests.support.stores import tracking_store


@pytest.fixture
def uri(postgres: PostgresServer) -> str:
    return postgres.new_store()


@pytest.fixture
def store(uri: str) -> Iterator[TrackingStore]:
    with tracking_store(uri) as store:
        yield store


def at_once(calls: Sequence[Callable[[], object]]) -> list[object]:
    """Make all calls in turns on one event loop; give what each gave or raised."""

    async def gather() -> list[object]:
        return await asyncio.gather(*map(take_turns, calls), return_exceptions=True)

    return asyncio.run(gather())


def log(store: TrackingStore, run_id: str, key: str, step: int) -> Callable[[], object]:
    return partial(store.log_batch, run_id, metrics=[Metric(key, step / 2, 1, step)])


@pytest.mark.postgres
def test_points_logged_at_once_are_all_there_by_fewer_transactions(
    store: TrackingStore, uri: str, postgres: PostgresServer
) -> None:
    run_ids = [store.create_run("0").info.run_id for _ in range(3)]
    calls = [log(store, run_id, "loss", step) for step in range(20) for run_id in run_ids]
    assert at_once(calls) == [None] * 60
    for run_id in run_ids:
        assert len(store.get_metric_history(run_id, "loss").items) == 20
        assert store.get_run(run_id).metrics["loss"] == Metric("loss", 9.5, 1, 19)
    counted = "SELECT count(DISTINCT xmin::text) FROM metrics"
    [(transactions,)] = postgres.execute(counted, postgres.name_of(uri))
    assert transactions == 2  # the first call's own, and that of all who came meanwhile


@pytest.mark.postgres
def test_each_gets_its_own_answer(store: TrackingStore) -> None:
    active, deleted = (store.create_run("0").info.run_id for _ in range(2))
    store.delete_run(deleted)
    calls = [
        log(store, active, "first", 1),
        log(store, active, "second", 1),
        log(store, "0" * 32, "loss", 1),
        log(store, deleted, "loss", 1),
        log(store, active, "third", 1),
    ]
    first, second, missing, refused, third = at_once(calls)
    assert (first, second, third) == (None, None, None)
    assert isinstance(missing, NotFoundError)
    assert isinstance(refused, InvalidValueError)
    assert set(store.get_run(active).metrics) == {"first", "second", "third"}


@pytest.mark.postgres
def test_a_value_that_no_database_keeps_spoils_nobody_elses_write(store: TrackingStore) -> None:
    def create(name: str) -> Callable[[], Run]:
        return partial(store.create_run, "0", run_name=name, params={"p": name})

    made = at_once([create("a"), create("b"), create("NUL \0"), create("half \ud800"), create("c")])
    bad = [each for each in made if isinstance(each, FlowrunError)]
    assert [type(each) for each in bad] == [InvalidValueError] * 2
    kept = {run.info.run_name: run.params for run in store.search_runs(["0"]).items}
    assert kept == {name: {"p": name} for name in "abc"}


@pytest.mark.postgres
def test_runs_created_at_once_are_each_callers_own(store: TrackingStore) -> None:
    other = store.create_experiment("other")
    gone = store.create_experiment("gone")
    store.delete_experiment(gone)
    places = ["0", other, "7", "0", gone, other]
    made = at_once([partial(store.create_run, place, tags={"t": place}) for place in places])
    kinds = [type(each) for each in made]
    assert kinds == [Run, Run, NotFoundError, Run, InvalidValueError, Run]
    for place, run in zip(places, made, strict=True):
        if isinstance(run, Run):
            assert run.info.experiment_id == place
            assert store.get_run(run.info.run_id) == run


# Who writes


class Written:
    """What writes items, and waits each time until it may go on."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.gates: list[Meeting] = []

    def write(self, items: Sequence[str], /, *, is_patient: bool) -> Sequence[str | FlowrunError]:
        if is_patient:
            return [f"{item} alone" for item in items]
        self.groups.append(list(items))
        self.gates.append(Meeting())
        self.gates[-1].wait()
        if "down" in items:
            raise StoreUnavailableError("the database is down")
        if "slow" in items:
            raise StoreError("another client keeps it locked")
        return [item.upper() for item in items]


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def begin(together: Together, written: Written, item: str) -> asyncio.Task[str]:
    return asyncio.create_task(take_turns(partial(together.write, written.write, item)))


def test_what_comes_while_one_writes_is_written_by_the_first_of_it() -> None:
    async def run() -> None:
        together, written = Together(), Written()
        tasks = [begin(together, written, item) for item in "abcd"]
        await settle()
        assert written.groups == [["a"]]
        written.gates[0].come()
        await settle()
        assert written.groups == [["a"], ["b", "c", "d"]]
        tasks.append(begin(together, written, "e"))
        await settle()
        written.gates[1].come()
        await settle()
        written.gates[2].come()
        assert await asyncio.gather(*tasks) == list("ABCDE")
        assert written.groups[2:] == [["e"]]

    asyncio.run(run())


@pytest.mark.parametrize("cancelled", [0, 1, 2], ids=["who writes", "who is next", "another"])
def test_a_caller_that_goes_away_leaves_the_others_to_go_on(cancelled: int) -> None:
    async def run() -> None:
        together, written = Together(), Written()
        tasks = [begin(together, written, item) for item in "abc"]
        await settle()
        tasks[cancelled].cancel()
        await settle()
        for _ in range(2):
            for gate in written.gates:
                gate.come()
            await settle()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        gone = results.pop(cancelled)
        assert isinstance(gone, asyncio.CancelledError)
        assert results == [each.upper() for each in "abc" if each != "abc"[cancelled]]

    asyncio.run(run())


def test_who_goes_away_as_he_is_chosen_to_write_leaves_it_to_the_next() -> None:
    async def run() -> None:
        together, written = Together(), Written()
        tasks = [begin(together, written, item) for item in "abc"]
        await settle()
        written.gates[0].come()
        tasks[1].cancel()  # before its turn, after the first has ended
        await settle()
        assert written.groups == [["a"], ["c"]]
        written.gates[1].come()
        assert await tasks[2] == "C"
        assert tasks[1].cancelled()

    asyncio.run(run())


def test_a_database_that_is_down_is_told_to_all_at_once() -> None:
    async def run() -> None:
        together, written = Together(), Written()
        tasks = [begin(together, written, item) for item in ("a", "b", "down", "c")]
        await settle()
        for number in range(2):
            written.gates[number].come()
            await settle()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert results[0] == "A"
        assert [type(each) for each in results[1:]] == [StoreUnavailableError] * 3
        assert len(written.groups) == 2

    asyncio.run(run())


def test_who_waits_for_somebody_else_makes_nobody_wait_for_him() -> None:
    async def run() -> None:
        together, written = Together(), Written()
        tasks = [begin(together, written, item) for item in ("a", "b", "slow")]
        await settle()
        written.gates[0].come()
        await settle()
        tasks.append(begin(together, written, "c"))
        written.gates[1].come()
        await settle()
        written.gates[2].come()
        assert await asyncio.gather(*tasks) == ["A", "b alone", "slow alone", "C"]

    asyncio.run(run())


def test_a_thread_writes_alone() -> None:
    assert Together().write(Written().write, "a") == "a alone"
