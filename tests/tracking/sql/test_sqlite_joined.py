"""Full durability: writers that come at once share a commit, and nobody is answered before it."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from flowrun.errors import NotFoundError, StoreError
from flowrun.tracking.entities import Metric
from flowrun.tracking.sql.database import Durability
from flowrun.tracking.sql.sqlite import open_sqlite
from flowrun.tracking.sql.sqlite_joined import JoinedWriter
from flowrun.tracking.store import TrackingStore
from flowrun.tracking.uri import open_tracking_store
from tests.contracts.tracking_store import TrackingStoreContract
from tests.support.stores import ROOT, counting_ids, ticking_clock
from tests.support.waiting import until


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TrackingStore]:
    store = open_tracking_store(
        f"sqlite:///{tmp_path / 'flowrun.db'}",
        artifact_root=ROOT,
        now=ticking_clock(),
        new_id=counting_ids(),
        durability=Durability.FULL,
    )
    yield store
    store.close()


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[JoinedWriter]:
    """Give a writer on a database with a table of names, each the friend of one before."""
    path = tmp_path / "names.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(
            "CREATE TABLE names (name TEXT PRIMARY KEY,"
            " friend TEXT REFERENCES names DEFERRABLE INITIALLY DEFERRED)"
        )

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA foreign_keys = ON")
        return connection

    writer = JoinedWriter(connect)
    yield writer
    writer.close()


def names(tmp_path: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(tmp_path / "names.db")) as connection:
        rows = connection.execute("SELECT name FROM names ORDER BY name").fetchall()
    return [name for (name,) in rows]


@contextlib.contextmanager
def first_writer(writer: JoinedWriter) -> Iterator[Future[None]]:
    """Write a name on another thread, which stays until we wait: we do the commit for both."""
    is_inside = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(_write_first, writer, is_inside)
        assert is_inside.wait(20)
        yield first


def _write_first(writer: JoinedWriter, is_inside: threading.Event) -> None:
    with writer.write() as connection:
        connection.execute("INSERT INTO names VALUES ('first', NULL)")
        is_inside.set()
        until(lambda: writer.is_awaited, what="a second writer")


class TestDurableStore(TrackingStoreContract):
    """Every promise, with full durability."""


def test_each_commit_waits_for_the_disk(tmp_path: Path) -> None:
    database = open_sqlite(tmp_path / "flowrun.db", durability=Durability.FULL)
    with database.write() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    database.close()


def test_writers_at_once_lose_nothing(store: TrackingStore) -> None:
    run_ids = [store.create_run("0").info.run_id for _ in range(8)]

    def log(run_id: str) -> None:
        for step in range(20):
            store.log_batch(run_id, metrics=[Metric("m", step, step, step)])

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(log, run_ids))
    for run_id in run_ids:
        assert len(store.get_metric_history(run_id, "m").items) == 20


def test_a_writer_leaves_the_commit_to_the_one_that_waits(
    writer: JoinedWriter, tmp_path: Path
) -> None:
    with first_writer(writer) as first:
        with writer.write() as connection:
            connection.execute("INSERT INTO names VALUES ('second', NULL)")
            # The first has made its changes, but is not answered before they are on the disk.
            assert names(tmp_path) == []
            assert not first.done()
        first.result()
    assert names(tmp_path) == ["first", "second"]


def test_a_failed_writer_takes_back_its_own_changes_only(
    writer: JoinedWriter, tmp_path: Path
) -> None:
    def fail() -> None:
        with writer.write() as connection:
            connection.execute("INSERT INTO names VALUES ('undone', NULL)")
            raise NotFoundError("no such thing")

    with first_writer(writer) as first:
        with pytest.raises(NotFoundError):
            fail()
        first.result()
    assert names(tmp_path) == ["first"]


def test_a_failed_commit_is_told_to_every_writer_of_it(
    writer: JoinedWriter, tmp_path: Path
) -> None:
    with first_writer(writer) as first:
        with pytest.raises(sqlite3.IntegrityError), writer.write() as connection:
            connection.execute("INSERT INTO names VALUES ('second', 'nobody')")
        with pytest.raises(sqlite3.IntegrityError):
            first.result()
    assert names(tmp_path) == []
    with writer.write() as connection:
        connection.execute("INSERT INTO names VALUES ('third', NULL)")
    assert names(tmp_path) == ["third"]


def test_a_writer_that_is_kept_out_does_not_stop_the_next(tmp_path: Path) -> None:
    path = tmp_path / "flowrun.db"
    other = open_sqlite(path)
    database = open_sqlite(path, durability=Durability.FULL, busy_timeout_s=0.05)
    with other.write(), pytest.raises(StoreError, match="locked"), database.write():
        pass
    with database.write() as connection:
        connection.execute("DELETE FROM experiments")
    database.close()
    other.close()
