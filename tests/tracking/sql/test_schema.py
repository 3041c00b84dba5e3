"""The four places that know the schema agree: tables, migrations, schema.sql and statements."""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlmodel import SQLModel

import flowrun.registry.sql
import flowrun.tracking.sql
from flowrun.tracking.sql.database import REVISION
from flowrun.tracking.sql.postgres_text import translate
from flowrun.tracking.sql.sqlite import open_sqlite
from flowrun.tracking.sql.tables import UNCHECKED
from flowrun.tracking.sql.upgrade import migrate, postgres_schema, schema_of, upgrade
from tests.support.postgres import PostgresServer
from tests.support.stores import tracking_store

SQL_FOLDER = Path(flowrun.tracking.sql.__file__).parent
TABLES = (
    "flowrun.tracking.sql.tables",
    "flowrun.tracking.sql.trace_tables",
    "flowrun.registry.sql.tables",
)
MODULES = [
    f"{package.__name__}.{module.name}"
    for package in (flowrun.tracking.sql, flowrun.registry.sql)
    for module in pkgutil.iter_modules(package.__path__)
    if not module.ispkg and module.name not in {"upgrade", "postgres", "sqlite"}
]


def statements(module: ModuleType) -> dict[str, str]:
    """Give the SQL texts of a module by name."""
    verbs = ("SELECT ", "INSERT ", "UPDATE ", "DELETE ")
    texts = {name: value for name, value in vars(module).items() if isinstance(value, str)}
    return {name: text for name, text in texts.items() if text.strip().startswith(verbs)}


STATEMENTS = {
    f"{module}.{name}": text
    for module in MODULES
    for name, text in statements(importlib.import_module(module)).items()
}


def schema(path: Path) -> set[tuple[str, str]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        return {(name, " ".join(sql.split())) for name, sql in rows}


def test_schema_text_is_what_the_migrations_make(tmp_path: Path) -> None:
    migrate(tmp_path / "migrated.db")
    open_sqlite(tmp_path / "new.db").close()
    assert schema(tmp_path / "new.db") == schema(tmp_path / "migrated.db")
    assert schema_of(tmp_path / "migrated.db") == (SQL_FOLDER / "schema.sql").read_text()


def test_tables_are_what_the_migrations_make(tmp_path: Path) -> None:
    for name in TABLES:
        importlib.import_module(name)
    migrate(tmp_path / "migrated.db")
    assert differences(f"sqlite:///{tmp_path / 'migrated.db'}") == []


def test_the_schema_text_for_postgresql_is_what_the_migrations_make() -> None:
    assert postgres_schema() == (SQL_FOLDER / "schema_postgres.sql").read_text()


@pytest.mark.postgres
def test_tables_are_what_the_migrations_make_on_postgresql(postgres: PostgresServer) -> None:
    for name in TABLES:
        importlib.import_module(name)
    uri = postgres.new_store()
    assert differences(uri.replace("postgresql:", "postgresql+psycopg:")) == []


@pytest.mark.postgres
def test_both_databases_have_the_same_indexes(postgres: PostgresServer, tmp_path: Path) -> None:
    migrate(tmp_path / "migrated.db")
    with contextlib.closing(sqlite3.connect(tmp_path / "migrated.db")) as connection:
        on_sqlite = connection.execute(
            "SELECT name, sql LIKE '% WHERE %' FROM sqlite_master"
            " WHERE type = 'index' AND sql IS NOT NULL"
        ).fetchall()
    uri = postgres.new_store()
    on_postgres = postgres.execute(
        "SELECT indexname, (indexdef LIKE '% WHERE %')::int FROM pg_indexes"
        " WHERE schemaname = 'public' AND indexname NOT LIKE '%_pkey' AND"
        " indexname NOT LIKE '%_key' AND indexname NOT LIKE '%_pkc'",
        postgres.name_of(uri),
    )
    assert sorted(on_postgres) == sorted(on_sqlite)


@pytest.mark.postgres
def test_texts_on_postgresql_compare_by_their_bytes(postgres: PostgresServer) -> None:
    collations = postgres.execute(
        "SELECT DISTINCT collation_name FROM information_schema.columns"
        " WHERE table_schema = 'public' AND data_type = 'text'",
        postgres.name_of(postgres.new_store()),
    )
    assert collations == [("C",)]


def test_newest_migration_is_what_this_flowrun_reads() -> None:
    assert ScriptDirectory(str(SQL_FOLDER / "migrations")).get_heads() == [REVISION]


def test_upgrade_leaves_a_copy_of_the_store_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "flowrun.db"
    with tracking_store(path) as store:
        store.create_experiment("kept")
    upgrade(path, REVISION)
    for each in (path, tmp_path / f"flowrun.db.{REVISION}.bak"):
        with tracking_store(each) as store:
            assert store.get_experiment_by_name("kept")


def test_there_are_statements_to_check() -> None:
    assert len(STATEMENTS) > 50


@pytest.mark.parametrize("text", STATEMENTS.values(), ids=STATEMENTS)
def test_statement_fits_the_schema(text: str, tmp_path: Path) -> None:
    database = open_sqlite(tmp_path / "flowrun.db")
    with contextlib.closing(sqlite3.connect(database.path)) as connection:
        values = (0,) * text.count("?") or _AnyValues()
        assert connection.execute(f"EXPLAIN {text}", values).fetchall()
    database.close()


@pytest.mark.postgres
@pytest.mark.parametrize("text", STATEMENTS.values(), ids=STATEMENTS)
def test_statement_fits_the_schema_on_postgresql(
    text: str, empty_postgres_store: psycopg.Connection
) -> None:
    empty_postgres_store.execute(b"PREPARE checked AS " + translate(text).text)
    empty_postgres_store.execute("DEALLOCATE checked")


@pytest.fixture(scope="module")
def empty_postgres_store(postgres: PostgresServer) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres.new_store(), autocommit=True) as connection:
        yield connection


def differences(url: str) -> list[object]:
    """Compare a database with the tables; `url` is SQLAlchemy's."""
    engine = create_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        found = compare_metadata(context, SQLModel.metadata)
    engine.dispose()
    if engine.dialect.name == "postgresql":
        unchecked = [one for one in found if one[0] == "add_fk" and one[1].table.name in UNCHECKED]
        assert len(unchecked) == len(UNCHECKED)
        return [one for one in found if one not in unchecked]
    return list(found)


def test_recording_a_run_imports_nothing_heavy(tmp_path: Path) -> None:
    script = f"""
import sys
from tests.support.stores import registry_store, tracking_store
from flowrun.tracking.entities import Metric, RunStatus
from pathlib import Path
path = Path({str(tmp_path / "flowrun.db")!r})
with tracking_store(path) as store, registry_store(path, store) as registry:
    run = store.create_run("0", params={{"p": "1"}})
    store.log_batch(run.info.run_id, metrics=[Metric("m", 1.0, 1)])
    store.update_run(run.info.run_id, status=RunStatus.FINISHED)
    store.search_runs(["0"], filter_text="metrics.m > 0")
    registry.create_registered_model("m")
    registry.create_model_version("m", f"runs:/{{run.info.run_id}}/model")
heavy = {{
    *("psycopg", "subprocess", "sqlalchemy", "sqlmodel"),
    *("alembic", "pydantic", "fsspec", "networkx", "yaml"),
}}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


class _AnyValues(dict[str, int]):
    """A value for each parameter, whatever its name."""

    def __missing__(self, key: str) -> int:
        return 0
