"""Upgrading a store that an older flowrun made, with Alembic; and making the next migration.

A change of the tables is made so: change `tables.py`; write `migrations/versions/vNNNN_what.py`
(Alembic's autogenerate drafts it); set REVISION in `database.py`; run this module, which writes
`schema.sql` and `schema_postgres.sql` anew from the migrations. The tests compare them all.

    python -m flowrun.tracking.sql.upgrade
"""

from __future__ import annotations

import contextlib
import io
import sqlite3
from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, NullPool, Text, create_engine
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles

from flowrun.tracking.sql.backup import copy_sqlite
from flowrun.tracking.sql.database import REVISION, newer_store
from flowrun.tracking.sql.sqlite import APPLICATION_ID

_FOLDER = Path(__file__).parent


def upgrade(path: Path, revision: str) -> None:
    """Bring a store from an older revision to the newest: wholly, or not at all.

    A copy of the store as it was stays beside it, as `FILE.REVISION.bak`.

    Raises:
        StoreError: this flowrun does not know the revision, so a newer one made the store.
    """
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if revision not in known:
        raise newer_store(str(path), revision)
    copy = path.with_name(f"{path.name}.{revision}.bak")
    copy.unlink(missing_ok=True)  # of an upgrade that was broken off: the store is still the same
    copy_sqlite(path, copy)
    migrate(path)


def migrate(path: Path) -> None:
    """Run the migrations that a SQLite database lacks, in one transaction."""
    engine = create_engine("sqlite://", creator=lambda: _connect(path))
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        command.upgrade(_config(connection), "head")
        connection.exec_driver_sql("COMMIT")
    engine.dispose()


def migrate_postgres(connect: Callable[[], DBAPIConnection], first: bytes) -> None:
    """Run the migrations that a PostgreSQL database lacks, in one transaction.

    Args:
        connect: opens a connection of psycopg.
        first: a statement to begin with, which waits for whoever else is at it.

    Raises:
        psycopg.Error: as the driver raised it.
    """
    engine = create_engine("postgresql+psycopg://", creator=connect, poolclass=NullPool)
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(first.decode())
            command.upgrade(_config(connection), "head")
    except DBAPIError as error:
        if error.orig is None:
            raise
        raise error.orig from error


def schema_of(path: Path) -> str:
    """Give the statements that make an empty store like the one at `path`."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name != 'sqlite_sequence'"
            " ORDER BY type DESC, rootpage"
        )
        statements = [f"{sql};" for (sql,) in rows]
    return "\n".join(
        [
            "-- Written by `python -m flowrun.tracking.sql.upgrade` from the migrations.",
            "-- A new store is made from this text, which needs no import of Alembic.",
            *statements,
            f"INSERT INTO alembic_version VALUES ('{REVISION}');",
            f"PRAGMA application_id = {APPLICATION_ID};",
            "",
        ]
    )


def postgres_schema() -> str:
    """Give the statements that make an empty store on PostgreSQL."""
    text = io.StringIO()
    config = _config()
    config.output_buffer = text
    command.upgrade(config, "head", sql=True)
    return "\n".join(
        [
            "-- Written by `python -m flowrun.tracking.sql.upgrade` from the migrations.",
            "-- A new store is made from this text, which needs no import of Alembic.",
            *(
                line.rstrip()
                for line in text.getvalue().splitlines()
                if line.strip() and not line.startswith(("--", "BEGIN;", "COMMIT;"))
            ),
            "",
        ]
    )


@compiles(Text, "postgresql")
def _text_in_bytewise_order(*_: object, **__: object) -> str:
    """Declare each text so that it compares and sorts as in SQLite, whatever the database's own."""
    return 'TEXT COLLATE "C"'


def _connect(path: Path) -> sqlite3.Connection:
    # Autocommit: the driver would otherwise commit before each CREATE TABLE of a migration.
    return sqlite3.connect(path, isolation_level=None)


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER / "migrations"))
    config.attributes["connection"] = connection
    return config


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        migrate(Path(folder) / "new.db")
        (_FOLDER / "schema.sql").write_text(schema_of(Path(folder) / "new.db"))
    (_FOLDER / "schema_postgres.sql").write_text(postgres_schema())
