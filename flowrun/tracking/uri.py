"""A tracking URI to an open store."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from flowrun.errors import UnsupportedError, UsageError
from flowrun.tracking.sql.database import Database, Durability, KeptDatabase
from flowrun.tracking.sql.postgres_uri import SCHEMES
from flowrun.tracking.sql.sqlite import SqliteDatabase, open_sqlite
from flowrun.tracking.sql.store import SqlTrackingStore
from flowrun.tracking.store import TrackingStore

SERVER_SCHEMES = frozenset({"http", "https"})
_SQLITE = "sqlite:///"
_POSTGRES = "flowrun.tracking.sql.postgres"
_PASSWORD = re.compile(r"(?<=://)([^:/@]*):[^@]*(?=@)")


def open_tracking_store(
    uri: str,
    *,
    artifact_root: str,
    now: Callable[[], int],
    new_id: Callable[[], str],
    durability: Durability = Durability.NORMAL,
) -> TrackingStore:
    """Open the store at `uri`; a SQLite one is made if it is not there.

    Args:
        uri: `sqlite:///` and an absolute path: `sqlite:////home/me/flowrun.db`; or
            `postgresql://user:password@host:port/database`, with libpq's parameters if any.
        artifact_root: the URI below which new experiments keep artifacts: `mlflow-artifacts:/` for
            those that are opened with `open_artifacts(..., destination=...)`.
        now: milliseconds since the Unix epoch.
        new_id: 32 new hex digits at each call.
        durability: what an answered write survives, on SQLite.

    Raises:
        UsageError: not a URI of a store. UnsupportedError: one of a kind that comes later.
        StoreError: it can't be opened.
    """
    database = open_database(uri, durability)
    store = SqlTrackingStore(database, artifact_root=artifact_root, now=now, new_id=new_id)
    store.make_default_experiment()
    return store


def open_database(uri: str, durability: Durability = Durability.NORMAL) -> Database:
    """Open the database that a URI names; `open_tracking_store` tells which can be."""
    if is_postgres(uri):
        database: Database = postgres_module(_POSTGRES).open_postgres(uri)
        return database
    return open_sqlite(sqlite_path(uri), durability=durability)


def kept_database(uri: str) -> KeptDatabase:
    """Give the database that a URI names without looking at it."""
    if is_postgres(uri):
        database: KeptDatabase = postgres_module(_POSTGRES).PostgresDatabase(uri)
        return database
    return SqliteDatabase(sqlite_path(uri))


def is_server(uri: str) -> bool:
    """True for the URI of a server, whose stores are opened by `flowrun.stores`."""
    return uri.partition(":")[0].lower() in SERVER_SCHEMES


def sqlite_path(uri: str) -> Path:
    """Give the file that a `sqlite:///` URI names."""
    path = Path(uri.removeprefix(_SQLITE))
    if not uri.startswith(_SQLITE) or not path.is_absolute():
        shown = _PASSWORD.sub(r"\1", uri)
        raise UsageError(
            f"tracking URI '{shown}' names no store",
            "Give sqlite:/// and an absolute path: sqlite:////home/me/flowrun.db",
        )
    return path


def with_absolute_path(uri: str, folder: Path) -> str:
    """Give a SQLite URI as MLflow reads it: `sqlite:///mlflow.db` lies in the current folder."""
    path = uri.removeprefix(_SQLITE)
    if not uri.startswith(_SQLITE) or not path:
        return uri
    return f"{_SQLITE}{folder / path}"


def is_postgres(uri: str) -> bool:
    """True for the URI of a PostgreSQL database."""
    return uri.partition(":")[0] in SCHEMES


def postgres_module(name: str) -> ModuleType:
    """Give a module that needs PostgreSQL's driver, which is an extra of the package.

    Raises:
        UnsupportedError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"psycopg", "greenlet"}:
            raise
        raise UnsupportedError(
            "stores in PostgreSQL need its driver, which is not installed",
            "Install it with: pip install 'flowrun[postgres]'",
        ) from error
