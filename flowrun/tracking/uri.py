"""A tracking URI to an open store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from flowrun.errors import UnsupportedError, UsageError
from flowrun.tracking.sql.sqlite import open_sqlite
from flowrun.tracking.sql.store import SqlTrackingStore
from flowrun.tracking.store import TrackingStore

_SQLITE = "sqlite:///"


def open_tracking_store(
    uri: str, *, artifact_root: str, now: Callable[[], int], new_id: Callable[[], str]
) -> TrackingStore:
    """Open the store at `uri`; a SQLite one is made if it is not there.

    Args:
        uri: `sqlite:///` and an absolute path: `sqlite:////home/me/flowrun.db`.
        artifact_root: the URI below which new experiments keep artifacts: `mlflow-artifacts:/` for
            those that are opened with `open_artifacts(..., destination=...)`.
        now: milliseconds since the Unix epoch.
        new_id: 32 new hex digits at each call.

    Raises:
        UsageError: not a URI of a store. UnsupportedError: one of a kind that comes later.
        StoreError: it can't be opened.
    """
    database = open_sqlite(sqlite_path(uri))
    store = SqlTrackingStore(database, artifact_root=artifact_root, now=now, new_id=new_id)
    store.make_default_experiment()
    return store


def sqlite_path(uri: str) -> Path:
    """Give the file that a `sqlite:///` URI names."""
    scheme = uri.partition(":")[0]
    if scheme in {"http", "https", "postgresql"}:
        raise UnsupportedError(
            f"tracking URI '{uri}': stores behind {scheme} come later; "
            "flowrun keeps its records in SQLite for now"
        )
    path = Path(uri.removeprefix(_SQLITE))
    if not uri.startswith(_SQLITE) or not path.is_absolute():
        raise UsageError(
            f"tracking URI '{uri}' names no store",
            "Give sqlite:/// and an absolute path: sqlite:////home/me/flowrun.db",
        )
    return path
