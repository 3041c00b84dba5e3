"""Bad luck with the file, and several processes at it."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowrun.errors import StoreError
from flowrun.tracking.entities import Metric
from flowrun.tracking.sql.database import REVISION
from flowrun.tracking.sql.sqlite import open_sqlite
from tests.support.small_disk import small_disk
from tests.support.stores import tracking_store

PRELUDE = """
import os, sys, uuid
from pathlib import Path
from flowrun.tracking.entities import Metric
from tests.support.stores import tracking_store
path = Path(sys.argv[1])
new_id = lambda: uuid.uuid4().hex
"""


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PRELUDE + script, *map(str, arguments)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out


def refusal(path: Path) -> str:
    with pytest.raises(StoreError) as error:
        open_sqlite(path)
    return str(error.value)


def test_store_and_its_folders_are_private(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "flowrun.db"
    before = os.umask(0)
    try:
        with tracking_store(path) as store:
            store.create_run("0")
            modes = {each.name: each.stat().st_mode & 0o777 for each in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert set(modes.values()) == {0o600}
    assert {path.parent.stat().st_mode & 0o777, path.parent.parent.stat().st_mode & 0o777} == {
        0o700
    }


def test_empty_file_becomes_a_store(tmp_path: Path) -> None:
    (tmp_path / "flowrun.db").touch()
    with tracking_store(tmp_path / "flowrun.db") as store:
        assert store.get_experiment("0").name == "Default"


def test_processes_that_open_a_new_store_at_once_share_it(tmp_path: Path) -> None:
    script = """
input()
with tracking_store(path, new_id=new_id) as store:
    print(store.create_experiment(sys.argv[2]))
"""
    processes = [start(script, tmp_path / "home" / "flowrun.db", name) for name in "abcd"]
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    ids = {finish(process).strip() for process in processes}
    assert ids == {"1", "2", "3", "4"}
    with tracking_store(tmp_path / "home" / "flowrun.db") as store:
        assert len(store.search_experiments().items) == 5


def test_two_processes_write_at_once_without_loss(tmp_path: Path) -> None:
    path = tmp_path / "flowrun.db"
    with tracking_store(path) as store:
        run_id = store.create_run("0").info.run_id
        script = """
with tracking_store(path, new_id=new_id) as store:
    for step in range(200):
        store.log_batch(sys.argv[2], metrics=[Metric(sys.argv[3], step, step, step)])
"""
        processes = [start(script, path, run_id, key) for key in ("a", "b")]
        for process in processes:
            finish(process)
        for key in ("a", "b"):
            points = store.get_metric_history(run_id, key).items
            assert [point.step for point in points] == list(range(200))


@pytest.mark.parametrize("attempt", range(3))
def test_kill_leaves_what_was_acknowledged_and_nothing_by_half(
    tmp_path: Path, attempt: int
) -> None:
    path = tmp_path / "flowrun.db"
    script = """
with tracking_store(path, new_id=new_id) as store:
    run_id = store.create_run("0").info.run_id
    print(run_id, flush=True)
    for batch in range(100_000):
        metrics = [Metric(f"m{index}", batch, batch, batch) for index in range(50)]
        store.log_batch(run_id, metrics=metrics, tags={"batch": str(batch)})
        print(batch, flush=True)
"""
    process = start(script, path)
    assert process.stdout
    lines = (line.strip() for line in process.stdout)
    run_id = next(lines)
    for line in lines:
        if int(line) >= 20 + attempt:
            break
    process.send_signal(signal.SIGKILL)
    acknowledged = int([line, *(rest.split()[-1] for rest in lines)][-1])
    process.communicate(timeout=60)

    with tracking_store(path) as store:
        run = store.get_run(run_id)
        last = int(run.tags["batch"])
        assert last >= acknowledged
        assert {metric.step for metric in run.metrics.values()} == {last}
        assert len(run.metrics) == 50
        assert len(store.get_metric_history(run_id, "m49").items) == last + 1
        store.log_batch(run_id, tags={"still": "writable"})


def test_kill_within_a_transaction_undoes_it(tmp_path: Path) -> None:
    path = tmp_path / "flowrun.db"
    with tracking_store(path) as store:
        before = store.get_experiment("0")
    script = """
from flowrun.tracking.sql.sqlite import open_sqlite
database = open_sqlite(path)
with database.write() as connection:
    connection.execute("UPDATE experiments SET name = 'half'")
    print("inside", flush=True)
    input()
"""
    process = start(script, path)
    assert process.stdout
    assert process.stdout.readline() == "inside\n"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    with tracking_store(path) as store:
        assert store.get_experiment("0") == before


def test_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "flowrun.db"
    path.write_text("not a database " * 1000)
    assert refusal(path) == (
        f"store {path}: it is not a SQLite database\nGive another path, or move the file away."
    )


def test_database_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE experiments (experiment_id INTEGER)")
    assert refusal(path) == (
        f"store {path}: it is a SQLite database, but no flowrun store\n"
        "Give another path. A database of MLflow's own can't be used in place."
    )


def test_store_of_a_newer_flowrun_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "flowrun.db"
    open_sqlite(path).close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    before = path.read_bytes()
    assert refusal(path) == (
        f"store {path}: a newer flowrun made it (revision 9999; this flowrun knows up to "
        f"{REVISION})\n"
        "Upgrade flowrun, or give another store."
    )
    assert path.read_bytes() == before


def test_damaged_store_says_so(tmp_path: Path) -> None:
    path = tmp_path / "flowrun.db"
    with tracking_store(path) as store:
        run_id = store.create_run("0").info.run_id
        for start_step in range(0, 4000, 1000):
            points = [Metric("m", 1.0, step, step) for step in range(start_step, start_step + 1000)]
            store.log_batch(run_id, metrics=points)
    content = bytearray(path.read_bytes())
    content[8192:] = os.urandom(len(content) - 8192)
    path.write_bytes(content)
    with pytest.raises(StoreError) as error, tracking_store(path) as store:
        store.get_metric_history(run_id, "m")
    assert error.value.message == f"store {path}: it is damaged"


def test_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path) == (
        f"store {tmp_path}: it can't be opened\nCheck that it is a file you may read."
    )


def test_file_in_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "flowrun.db"
    assert refusal(path) == f"store {path}: {tmp_path / 'file'}: File exists"


def test_writer_that_waits_too_long_says_who_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "flowrun.db"
    holder, waiter = open_sqlite(path), open_sqlite(path, busy_timeout_s=0.05)
    with holder.write(), pytest.raises(StoreError) as error, waiter.write():
        pass
    assert error.value.message == f"store {path}: another process keeps it locked"
    with waiter.write() as connection:
        connection.execute("DELETE FROM experiments")
    holder.close()
    waiter.close()


def test_error_inside_a_transaction_undoes_it(tmp_path: Path) -> None:
    database = open_sqlite(tmp_path / "flowrun.db")

    def fail_half_way() -> None:
        with database.write() as connection:
            connection.execute("UPDATE alembic_version SET version_num = 'half'")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_half_way()
    with database.read() as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() != ("half",)
    database.close()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", size_mib=1) as mounted:
        yield mounted


def test_full_disk_says_so_and_loses_nothing(disk: Path) -> None:
    path = disk / "flowrun.db"
    with tracking_store(path) as store:
        run_id = store.create_run("0").info.run_id
        acknowledged: list[int] = []

        def fill() -> None:
            for batch in itertools.count():
                points = [Metric("m", batch, batch, step) for step in range(500)]
                store.log_batch(run_id, metrics=points, tags={"batch": str(batch)})
                acknowledged.append(batch)

        with pytest.raises(StoreError) as error:
            fill()
        assert str(error.value) == (
            f"store {path}: the disk is full\nFree some space; nothing was half written."
        )
        run = store.get_run(run_id)
        assert run.tags["batch"] == str(acknowledged[-1])
        assert run.metrics["m"].value == acknowledged[-1]
    with tracking_store(path) as store:
        assert store.get_run(run_id) == run
