"""What the user names to an open source."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from flowrun.errors import UnsupportedError, UsageError
from flowrun.importing.file_source import FileSource
from flowrun.importing.places import ArtifactPlaces
from flowrun.importing.source import Source
from flowrun.importing.sql_reader import SqliteReader
from flowrun.importing.sql_source import SqlSource


@contextmanager
def open_source(
    text: str, *, cwd: Path, artifacts_from: str | None, on_problem: Callable[[str], None]
) -> Iterator[Source]:
    """Open a store of MLflow's for reading, and close it at the end.

    Args:
        text: `sqlite:///mlflow.db` (three slashes: relative to `cwd`, as MLflow has it), a
            directory such as `mlruns`, or the URL of a server.
        cwd: what relative paths start from.
        artifacts_from: where the source's artifacts lie, besides the store's own folder.
        on_problem: told of each thing that is left out.

    Raises:
        UsageError: there is no store of MLflow's. StoreError: it can't be read.
    """
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
    if colon and scheme not in {"file"} and "/" not in scheme:
        raise UnsupportedError(
            f"'{text}': flowrun can't import from there",
            "Give sqlite:///mlflow.db or a directory such as ./mlruns.",
        )
    folder = cwd / (rest.removeprefix("//") if colon else text)
    if not folder.is_dir():
        raise UsageError(f"{text}: there is no such directory")
    return FileSource(folder, ArtifactPlaces(folder, artifacts_from), on_problem)
