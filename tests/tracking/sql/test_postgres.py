"""PostgreSQL's own ways: who is let in, who waits for whom, and a server that goes away."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from flowrun.errors import (
    AlreadyExistsError,
    InvalidValueError,
    StoreError,
    StoreUnavailableError,
)
from flowrun.tracking.entities import Metric
from flowrun.tracking.sql.database import REVISION
from flowrun.tracking.sql.postgres import PostgresDatabase, open_postgres
from flowrun.tracking.store import TrackingStore
from tests.support.postgres import PostgresServer, postgres_server
from tests.support.stores import registry_store, tracking_store
from tests.support.waiting import until

pytestmark = pytest.mark.postgres


@pytest.fixture
def uri(postgres: PostgresServer) -> str:
    return postgres.new_store()


@pytest.fixture
def database(uri: str) -> Iterator[PostgresDatabase]:
    database = open_postgres(uri)
    yield database
    database.close()


def refusal(uri: str) -> StoreError:
    with pytest.raises(StoreError) as error:
        open_postgres(uri)
    return error.value


# Who is let in


def test_servers_that_open_an_empty_database_at_once_share_a_store(
    postgres: PostgresServer,
) -> None:
    uri = postgres.new_database()
    gate = threading.Barrier(4)

    def open_it(name: str) -> str:
        gate.wait()
        with tracking_store(uri) as store:
            return store.create_experiment(name)

    with ThreadPoolExecutor(4) as threads:
        ids = set(threads.map(open_it, "abcd"))
    assert len(ids) == 4
    with tracking_store(uri) as store:
        assert len(store.search_experiments().items) == 5


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg2"])
def test_mlflows_ways_to_write_the_uri_are_understood(uri: str, scheme: str) -> None:
    with tracking_store(uri.replace("postgresql", scheme, 1)) as store:
        assert store.get_experiment("0").name == "Default"


def test_a_database_that_is_not_there_is_told(postgres: PostgresServer) -> None:
    uri = postgres.uri("nowhere")
    assert str(refusal(uri)) == (
        f'store {uri}: database "nowhere" does not exist\n'
        "Check the URI: user, password, host, port, database."
    )


def test_a_server_that_is_not_there_is_told_without_the_password() -> None:
    error = refusal("postgresql://me:s3cret@127.0.0.1:1/x?password=s3cret")
    assert str(error) == (
        "store postgresql://me@127.0.0.1:1/x: Connection refused\n"
        "Check that the PostgreSQL server runs and can be reached."
    )
    assert isinstance(error, StoreUnavailableError)


def test_a_wrong_password_is_told_and_not_shown(postgres: PostgresServer) -> None:
    postgres.execute("CREATE ROLE guest LOGIN PASSWORD 'right'")
    with postgres.asking_for_passwords():
        uri = postgres.uri(postgres.name_of(postgres.new_store()), user="guest")
        error = refusal(uri.replace("guest@", "guest:wr0ng@"))
    assert str(error) == (
        f'store {uri}: password authentication failed for user "guest"\n'
        "Check the URI: user, password, host, port, database."
    )
    assert not isinstance(error, StoreUnavailableError)


def test_a_user_without_rights_is_told(postgres: PostgresServer, uri: str) -> None:
    postgres.execute("CREATE ROLE reader LOGIN")
    error = refusal(postgres.uri(postgres.name_of(uri), user="reader"))
    assert error.message.endswith(": access is denied")


@pytest.mark.slow
def test_too_many_connections_are_told_as_something_that_passes() -> None:
    with postgres_server(max_connections="4", superuser_reserved_connections="0") as server:
        uri = server.new_store()
        with psycopg.connect(uri), psycopg.connect(uri), psycopg.connect(uri), psycopg.connect(uri):
            error = refusal(uri)
    assert isinstance(error, StoreUnavailableError)
    assert error.message == f"store {uri}: its server has no connection left"


def test_a_store_of_a_newer_flowrun_is_refused(postgres: PostgresServer, uri: str) -> None:
    name = postgres.name_of(uri)
    postgres.execute("UPDATE alembic_version SET version_num = '9999'", name)
    assert str(refusal(uri)) == (
        f"store {uri}: a newer flowrun made it (revision 9999; this flowrun knows up to "
        f"{REVISION})\nUpgrade flowrun, or give another store."
    )


def test_a_store_of_an_older_flowrun_says_how_to_upgrade_it(
    postgres: PostgresServer, uri: str
) -> None:
    name = postgres.name_of(uri)
    postgres.execute("UPDATE alembic_version SET version_num = '0000'", name)
    assert str(refusal(uri)) == (
        f"store {uri}: an older flowrun made it (revision 0000; this flowrun needs {REVISION})\n"
        "Stop its servers, make a backup, and run `flowrun db upgrade` with this URI."
    )


def test_a_database_of_mlflows_own_is_refused(postgres: PostgresServer) -> None:
    uri = postgres.new_database()
    name = postgres.name_of(uri)
    postgres.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))", name)
    assert str(refusal(uri)) == (
        f"store {uri}: the database holds another program's tables\n"
        "Give an empty database. One of MLflow's own can't be used in place."
    )


# What is kept


@pytest.mark.parametrize(
    ("call", "reason"),
    {
        "NUL": (lambda store: store.create_experiment("a\0b"), "NUL"),
        "surrogate": (lambda store: store.create_experiment("a\ud800"), "surrogate"),
        "number": (
            lambda store: store.create_run("0", start_time_ms=2**63),
            "does not fit into 64 bits",
        ),
    }.values(),
)
def test_what_no_database_keeps_is_a_bad_value(
    uri: str, call: Callable[[TrackingStore], object], reason: str
) -> None:
    with tracking_store(uri) as store, pytest.raises(InvalidValueError, match=reason):
        call(store)


@pytest.mark.parametrize("count", [1, 9, 10, 99, 100, 237])
def test_each_row_of_many_is_kept_once(database: PostgresDatabase, count: int) -> None:
    rows = [(f"name {number}", 2**40 + number) for number in range(count)]
    insert = """
        INSERT INTO experiments
            (name, last_update_time_ms, creation_time_ms, artifact_location, lifecycle_stage)
        VALUES (?, ?, ?, ?, ?)
    """
    with database.write() as connection:
        connection.executemany(insert, [(*row, 0, "", "") for row in rows])
    with database.read() as connection:
        found = connection.execute("SELECT name, last_update_time_ms FROM experiments").fetchall()
    assert sorted(found) == sorted(rows)


# Who waits for whom


def test_writers_of_two_runs_do_not_wait(database: PostgresDatabase) -> None:
    with database.write("run a"), database.write("run b") as second:
        assert second.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (["run"], ["run"]),
        ([], ["run"]),
        (["run"], []),
        ([], []),
        (["run", "other"], ["run"]),
        (["run"], ["other", "run"]),
        (["a", "run"], ["run", "b"]),
        (["run", "other"], []),
    ],
)
def test_other_writers_wait_until_the_commit(
    uri: str, first: Sequence[str], second: Sequence[str]
) -> None:
    holder, waiter = open_postgres(uri), open_postgres(uri, lock_timeout_s=0.05)
    with holder.write(*first) as connection:
        connection.execute("SELECT 1").fetchone()
        with pytest.raises(StoreError) as error, waiter.write(*second):
            pass
    assert error.value.message == f"store {uri}: another client keeps it locked"
    with waiter.write(*second) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    holder.close()
    waiter.close()


def test_a_reader_sees_one_state_to_the_end(database: PostgresDatabase) -> None:
    count = "SELECT count(*) FROM experiments"
    with database.read() as reader:
        before = reader.execute(count).fetchone()
        with database.write() as writer:
            writer.execute(
                "INSERT INTO experiments (name, artifact_location, lifecycle_stage,"
                " creation_time_ms, last_update_time_ms) VALUES ('new', '', 'active', 1, 1)"
            )
        assert reader.execute(count).fetchone() == before
    with database.read() as reader:
        assert reader.execute(count).fetchone() != before


def test_an_error_inside_a_transaction_undoes_it(database: PostgresDatabase) -> None:
    def fail_half_way() -> None:
        with database.write() as connection:
            connection.execute("UPDATE alembic_version SET version_num = 'half'")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_half_way()
    assert database.revision() == REVISION


def test_names_created_at_once_are_given_once(uri: str) -> None:
    with tracking_store(uri) as store, registry_store(uri, store) as registry:
        gate = threading.Barrier(8)

        def create(make: Callable[[str], object]) -> bool:
            gate.wait()
            try:
                make("wine")
            except AlreadyExistsError:
                return False
            return True

        with ThreadPoolExecutor(8) as threads:
            for make in (store.create_experiment, registry.create_registered_model):
                assert sum(threads.map(create, [make] * 8)) == 1


def test_versions_created_at_once_are_numbered_without_gaps(uri: str) -> None:
    with tracking_store(uri) as store, registry_store(uri, store) as registry:
        registry.create_registered_model("wine")

        def create(number: int) -> int:
            version = registry.create_model_version("wine", f"s3://bucket/{number}")
            return int(version.version)

        with ThreadPoolExecutor(8) as threads:
            assert sorted(threads.map(create, range(40))) == list(range(1, 41))


# A server that goes away


@pytest.mark.slow
def test_a_restart_between_calls_is_not_noticed() -> None:
    with postgres_server() as server, tracking_store(server.new_store()) as store:
        experiment_id = store.create_experiment("kept")
        server.stop()
        server.start()
        assert store.get_experiment(experiment_id).name == "kept"
        store.set_experiment_tag(experiment_id, "a", "b")


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_restart_under_load_keeps_what_was_answered_and_nothing_by_half(mode: str) -> None:
    with postgres_server(fsync="on", synchronous_commit="on") as server:
        uri = server.new_store()
        with tracking_store(uri) as store:
            run_ids = [store.create_run("0").info.run_id for _ in range(4)]
            answered: dict[str, int] = dict.fromkeys(run_ids, -1)
            is_over = threading.Event()

            def log(run_id: str) -> None:
                number = 0
                while not is_over.is_set():
                    points = [Metric(f"m{index}", number, number, number) for index in range(20)]
                    try:
                        store.log_batch(run_id, metrics=points, tags={"number": str(number)})
                    except StoreUnavailableError:
                        continue  # as a client does: the same again
                    answered[run_id] = number
                    number += 1

            with ThreadPoolExecutor(4) as threads:
                loggers = [threads.submit(log, run_id) for run_id in run_ids]
                until(lambda: min(answered.values()) > 5)
                server.stop(mode)
                server.start()
                before = dict(answered)
                until(lambda: all(answered[each] > before[each] + 5 for each in run_ids))
                is_over.set()
                for logger in loggers:
                    logger.result()
            for run_id in run_ids:
                assert store.get_run(run_id).tags["number"] == str(answered[run_id])
                for index in range(20):
                    points = store.get_metric_history(run_id, f"m{index}").items
                    assert [each.step for each in points] == list(range(answered[run_id] + 1))


@pytest.mark.slow
def test_a_stopped_server_is_told_as_something_that_passes() -> None:
    with postgres_server() as server:
        uri = server.new_store()
        with tracking_store(uri) as store:
            server.stop()
            with pytest.raises(StoreUnavailableError) as error:
                store.get_experiment("0")
            server.start()
    assert "No such file or directory" in error.value.message
