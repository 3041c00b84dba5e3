"""What the user names to an open source."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from flowrun.errors import UnsupportedError, UsageError
from flowrun.importing.file_source import FileSource
from flowrun.importing.places import ArtifactPlaces
from flowrun.importing.source import Source
from flowrun.importing.sql_reader import SqliteReader
from flowrun.importing.sql_source import SqlSource
from flowrun.importing.store_source import StoreSource
from flowrun.stores import open_stores
from flowrun.tracking.sql.postgres_uri import without_password
from flowrun.tracking.uri import is_postgres, is_server, postgres_module


@contextmanager
def open_source(
    text: str,
    *,
    cwd: Path,
    artifacts_from: str | None,
    variables: Mapping[str, str],
    on_problem: Callable[[str], None],
) -> Iterator[Source]:
    """Open a store of MLflow's for reading, and close it at the end.

    Args:
        text: `sqlite:///mlflow.db` (three slashes: relative to `cwd`, as MLflow has it),
            `postgresql://...`, a directory such as `mlruns`, or the URL of a server.
        cwd: what relative paths start from.
        artifacts_from: where the source's artifacts lie, besides the store's own folder.
        variables: the caller's environment: a server's credentials are looked for in it.
        on_problem: told of each thing that is left out.

    Raises:
        UsageError: there is no store of MLflow's. StoreError: it can't be read.
    """
    if is_server(text):
        with open_stores(text, "", variables=variables) as stores:
            yield StoreSource(stores, ArtifactPlaces(None, artifacts_from), on_problem)
        return
    source = _open(text, cwd, artifacts_from, on_problem)
    try:
        yield source
    finally:
        source.close()


def _open(
    text: str, cwd: Path, artifacts_from: str | None, on_problem: Callable[[str], None]
) -> Source:
    scheme, colon, rest = text.partition(":")
    if colon and scheme == "sqlite":
        path = cwd / rest.removeprefix("///")
        places = ArtifactPlaces(path.parent, artifacts_from)
        return SqlSource(text, SqliteReader(path), places, on_problem)
    if is_postgres(text):
        reader = postgres_module("flowrun.importing.postgres_reader").PostgresReader(text)
        return SqlSource(
            without_password(text), reader, ArtifactPlaces(None, artifacts_from), on_problem
        )
    if colon and scheme not in {"file"} and "/" not in scheme:
        raise UnsupportedError(
            f"'{text}': flowrun can't import from there",
            "Give sqlite:///mlflow.db, postgresql://..., a directory such as ./mlruns, or http://...",
        )
    folder = cwd / (rest.removeprefix("//") if colon else text)
    if not folder.is_dir():
        raise UsageError(f"{text}: there is no such directory")
    return FileSource(folder, ArtifactPlaces(folder, artifacts_from), on_problem)
