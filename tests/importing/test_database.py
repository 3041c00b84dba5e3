"""MLflow's databases: of its first version, of a later one, broken, busy."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import pytest

from tests.importing.mlflow_database import RUN, write_first_version
from tests.support.space import Space

SOURCE = "sqlite:///mlflow.db"


def the_run(space: Space) -> dict[str, Any]:
    (run,) = space.runs()
    return run


def test_a_database_of_the_first_version_is_read(space: Space) -> None:
    write_first_version(space.path / "mlflow.db")
    space.flowrun("import", "mlflow", SOURCE)
    run = the_run(space)
    assert (run["run_id"], run["name"], run["status"]) == (RUN, "first try", "FINISHED")
    assert (run["params"], run["metrics"]) == ({"depth": "3"}, {"auc": 0.75})
    assert [p.read_text() for p in (space.home / "artifacts").rglob("notes.txt")] == ["old"]


def test_an_experiment_keeps_its_number_where_it_is_free(space: Space) -> None:
    write_first_version(space.path / "mlflow.db")
    space.flowrun("import", "mlflow", SOURCE)
    assert the_run(space)["experiment_id"] == "5"


def test_what_is_not_imported_is_told(space: Space) -> None:
    write_first_version(
        space.path / "mlflow.db",
        "CREATE TABLE trace_info (request_id TEXT)",
        "INSERT INTO trace_info VALUES ('tr-1'), ('tr-2')",
        "ALTER TABLE runs ADD COLUMN colour TEXT",
        "CREATE TABLE moods (id TEXT)",
    )
    done = space.flowrun("import", "mlflow", SOURCE)
    assert [line for line in done.err.splitlines() if line.startswith("note: ")] == [
        "note: 2 traces are not imported",
        "note: runs.colour came with a later MLflow than 3.17 and is not read",
        "note: table moods is of a later MLflow than 3.17 and is not read",
    ]


REFUSED: dict[str, tuple[str, int, str]] = {
    "a migration that left its table": (
        "CREATE TABLE _alembic_tmp_runs (id TEXT)",
        3,
        f"{SOURCE}: MLflow is migrating it, or was stopped while it did (table _alembic_tmp_runs)",
    ),
    "a migration that left no revision": (
        "DELETE FROM alembic_version",
        3,
        f"{SOURCE}: MLflow is migrating it, or was stopped while it did (0 schema revisions)",
    ),
    "a column that is gone": (
        "ALTER TABLE metrics RENAME COLUMN value TO number",
        3,
        f"{SOURCE}: schema revision 451aebb31d03 of MLflow's store has no metrics.value, "
        "which flowrun needs",
    ),
    "a database of something else": (
        "DROP TABLE experiments",
        2,
        f"{SOURCE}: this is no store of MLflow's",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_database_that_cannot_be_read_right_is_refused(space: Space, name: str) -> None:
    statement, code, message = REFUSED[name]
    write_first_version(space.path / "mlflow.db", statement)
    done = space.flowrun("import", "mlflow", SOURCE, code=code)
    assert f"flowrun: {message}" in done.err
    assert space.runs() == []


def test_a_file_that_is_no_database_is_told(space: Space) -> None:
    space.write({"mlflow.db": "not a database, but long enough to look like a file of one" * 20})
    done = space.flowrun("import", "mlflow", SOURCE, code=3)
    assert "mlflow.db: file is not a database" in done.err


def test_a_run_with_an_unknown_status_is_named_and_left_out(space: Space) -> None:
    write_first_version(
        space.path / "mlflow.db",
        "INSERT INTO runs (run_uuid, status, experiment_id) VALUES ('odd', 'DANCING', 5)",
    )
    done = space.flowrun("import", "mlflow", SOURCE, code=1)
    assert "left out: run odd: 'DANCING' is no status of a run" in done.err
    assert the_run(space)["run_id"] == RUN


def test_a_value_that_is_no_number_leaves_its_run_out_whole(space: Space) -> None:
    write_first_version(
        space.path / "mlflow.db",
        "INSERT INTO metrics SELECT 'x', 'much', 1, run_uuid FROM runs",
    )
    done = space.flowrun("import", "mlflow", SOURCE, code=1)
    assert f"left out: run {RUN}: 'much' is no number" in done.err
    assert space.runs() == []


def test_the_database_is_opened_for_reading_only(space: Space) -> None:
    path = space.path / "mlflow.db"
    write_first_version(path)
    before = path.read_bytes()
    path.chmod(0o400)
    space.flowrun("import", "mlflow", SOURCE)
    assert path.read_bytes() == before
    assert sorted(p.name for p in space.path.glob("mlflow.db*")) == ["mlflow.db"]


def test_a_writer_beside_the_import_is_not_locked_out(space: Space) -> None:
    path = space.path / "mlflow.db"
    write_first_version(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        space.flowrun("import", "mlflow", SOURCE)
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO params SELECT 'later', '1', run_uuid FROM runs")
        writer.execute("COMMIT")
    done = space.flowrun("import", "mlflow", SOURCE, code=1)
    assert f"different: run {RUN}: its params differ" in done.err


def test_artifacts_of_a_server_are_found_where_the_user_says(space: Space) -> None:
    write_first_version(
        space.path / "mlflow.db",
        "UPDATE runs SET artifact_uri = 'mlflow-artifacts:/5/' || run_uuid || '/artifacts'",
    )
    kept = space.path / "kept" / "5" / RUN / "artifacts" / "f.txt"
    kept.parent.mkdir(parents=True)
    kept.write_text("kept")
    space.flowrun("import", "mlflow", SOURCE, "--artifacts-from", "kept")
    assert [p.read_text() for p in (space.home / "artifacts").rglob("f.txt")] == ["kept"]


def test_nothing_is_imported_through_a_server(space: Space) -> None:
    write_first_version(space.path / "mlflow.db")
    uri = "http://127.0.0.1:9"
    done = space.flowrun("--tracking-uri", uri, "import", "mlflow", SOURCE, code=2)
    assert f"{uri}: nothing can be imported through a server" in done.err
