"""`flowrun db`: what it says and leaves behind."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from flowrun.tracking.sql.database import REVISION
from tests.support.postgres import PostgresServer
from tests.support.space import Space
from tests.support.stores import tracking_store


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "mine.db"
    with tracking_store(path) as store:
        store.create_experiment("kept")
    return path


def test_status_of_a_store_that_fits(space: Space, store: Path) -> None:
    done = space.flowrun("db", "status", f"sqlite:///{store}")
    assert done.out == f"{store}: up to date (revision {REVISION}).\n"


def test_a_relative_uri_starts_at_the_current_folder(space: Space) -> None:
    done = space.flowrun("db", "status", "sqlite:///mlflow.db")
    assert done.out == (
        f"{space.path / 'mlflow.db'}: there is no store yet; the first use makes one.\n"
    )
    assert not (space.path / "mlflow.db").exists()


def test_status_of_a_newer_store_says_to_upgrade_flowrun(space: Space, store: Path) -> None:
    with closing(sqlite3.connect(store)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    done = space.flowrun("db", "status", f"sqlite:///{store}", code=3)
    assert "a newer flowrun made it (revision 9999" in done.err


@pytest.mark.postgres
def test_status_of_an_older_store_is_exit_code_1(space: Space, postgres: PostgresServer) -> None:
    uri = postgres.new_store()
    postgres.execute("UPDATE alembic_version SET version_num = '0000'", postgres.name_of(uri))
    done = space.flowrun("db", "status", uri, code=1)
    assert done.out == f"{uri}: revision 0000, this flowrun needs {REVISION}.\n"


@pytest.mark.postgres
def test_upgrade_makes_a_store_where_there_is_none(space: Space, postgres: PostgresServer) -> None:
    uri = postgres.new_database()
    assert space.flowrun("db", "upgrade", uri).out == f"{uri}: nothing -> revision {REVISION}.\n"
    assert space.flowrun("db", "upgrade", uri).out == f"{uri}: up to date (revision {REVISION}).\n"
    with tracking_store(uri) as store:
        assert store.get_experiment("0").name == "Default"


def test_a_backup_of_sqlite_is_a_store(space: Space, store: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    with tracking_store(store) as in_use:
        in_use.create_experiment("last")
        done = space.flowrun("db", "backup", f"sqlite:///{store}", "--to", copy)
    assert done.out == f"{store}: copied to {copy}\n"
    assert copy.stat().st_mode & 0o777 == 0o600
    with tracking_store(copy) as restored:
        assert restored.get_experiment_by_name("last")


@pytest.mark.postgres
def test_a_backup_of_postgresql_can_be_restored(
    space: Space, postgres: PostgresServer, tmp_path: Path
) -> None:
    uri, copy = postgres.new_store(), tmp_path / "copy.dump"
    with tracking_store(uri) as store:
        store.create_experiment("kept")
    done = space.flowrun("db", "backup", uri, "--to", copy)
    assert done.out == f"{uri}: copied to {copy}\n"
    empty = postgres.new_database()
    restore = [postgres.program("pg_restore"), "--dbname", empty, str(copy)]
    subprocess.run(restore, check=True, env={"PATH": os.defpath})
    with tracking_store(empty) as restored:
        assert restored.get_experiment_by_name("kept")


def test_a_backup_overwrites_nothing(space: Space, store: Path) -> None:
    before = store.read_bytes()
    done = space.flowrun("db", "backup", f"sqlite:///{store}", "--to", store, code=2)
    assert done.err == f"flowrun: {store} is there already\nGive another name for the copy.\n"
    assert store.read_bytes() == before


def test_a_backup_that_fails_leaves_nothing(space: Space, tmp_path: Path) -> None:
    uri = "postgresql://me:s3cret@127.0.0.1:1/x"
    done = space.flowrun("db", "backup", uri, "--to", tmp_path / "copy", code=3)
    assert "s3cret" not in done.err
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("command", ["status", "upgrade", "backup"])
def test_a_database_of_another_program_is_refused(
    space: Space, tmp_path: Path, command: str
) -> None:
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection:
        connection.execute("CREATE TABLE experiments (experiment_id INTEGER)")
    done = space.flowrun("db", command, f"sqlite:///{tmp_path / 'mlflow.db'}", code=3)
    assert "it is a SQLite database, but no flowrun store" in done.err
