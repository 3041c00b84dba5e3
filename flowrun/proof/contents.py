"""The files behind a recorded run: its artifacts, and those of its outputs and models."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing
from typing import BinaryIO

from flowrun.engine.cache.digest import directory_sha256
from flowrun.errors import InvalidStateError, InvalidValueError, NotFoundError
from flowrun.models.uri import LoggedModelUri, RunUri, parse_model_uri
from flowrun.proof.recorded import RecordedContent
from flowrun.stores import Stores
from flowrun.tracking.artifact_files import files_of
from flowrun.tracking.artifacts import Artifacts
from flowrun.valueclass import valueclass

CHUNK_BYTES = 1 << 20


@valueclass
class StoredFile:
    """A file in some store; nothing of it is read yet."""

    name: str
    """Its path below what it is part of; of an output that is one file, that file's name."""
    size_bytes: int
    artifacts: Artifacts
    path: str

    def open(self) -> BinaryIO:
        """Open it for reading."""
        return self.artifacts.open(self.path)

    def chunks(self) -> Iterator[bytes]:
        """Read it, piece by piece."""
        with closing(self.open()) as stream:
            while chunk := stream.read(CHUNK_BYTES):
                yield chunk


@valueclass
class Contents:
    """What an output is: a file, or a directory with files."""

    is_directory: bool
    files: tuple[StoredFile, ...]


class RunFiles:
    """Finds files of runs in the stores that they were recorded in."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def of_content(self, content: RecordedContent) -> Contents | None:
        """Give the files of an output; None if it is nothing of a store's, or gone from it."""
        try:
            artifacts, path = self._locate(content.uri)
        except (InvalidValueError, NotFoundError):
            return None
        if path and (file := _file_at(artifacts, path)) is not None:
            return Contents(is_directory=False, files=(file,))
        files = tuple(_below(artifacts, path))
        return Contents(is_directory=True, files=files) if files else None

    def of_artifacts(self, uri: str) -> tuple[StoredFile, ...]:
        """Give all files below an artifact URI."""
        return tuple(_below(self._stores.open_artifacts(uri), ""))

    def of_model(self, model_id: str) -> tuple[StoredFile, ...]:
        """Give the files of a logged model; none if it was deleted."""
        try:
            model = self._stores.tracking.get_logged_model(model_id)
        except NotFoundError:
            return ()
        return self.of_artifacts(model.artifact_uri)

    def _locate(self, uri: str) -> tuple[Artifacts, str]:
        match parse_model_uri(uri):
            case RunUri(run_id, path):
                where = self._stores.tracking.get_run(run_id).info.artifact_uri
                return self._stores.open_artifacts(where), path
            case LoggedModelUri(model_id):
                where = self._stores.tracking.get_logged_model(model_id).artifact_uri
                return self._stores.open_artifacts(where), ""
            case _:
                raise NotFoundError(f"{uri} is no output of a run")


def sha256_of(file: StoredFile) -> str:
    """Read a file and give its sha256."""
    digest = hashlib.sha256()
    for chunk in file.chunks():
        digest.update(chunk)
    return digest.hexdigest()


def check_unchanged(
    what: str, content: RecordedContent, contents: Contents, digests: list[str]
) -> None:
    """See that an output is what was recorded of it.

    Args:
        what: the output, for the message.
        content: what was recorded.
        contents: what is there.
        digests: sha256 of each of its files.

    Raises:
        InvalidStateError: somebody has changed it since.
    """
    if contents.is_directory:
        names = [file.name for file in contents.files]
        found = directory_sha256(dict(zip(names, digests, strict=True)))
    else:
        (found,) = digests
    if found != content.sha256:
        raise InvalidStateError(
            f"{what} is not what the run has made: recorded is sha256 {content.sha256}, in the "
            f"store is {found}",
            "Somebody has changed it since; nothing can be said of where this one comes from.",
        )


def _file_at(artifacts: Artifacts, path: str) -> StoredFile | None:
    folder, _, name = path.rpartition("/")
    for info in artifacts.list(folder):
        if info.path == path and not info.is_dir:
            return StoredFile(name, info.size_bytes or 0, artifacts, path)
    return None


def _below(artifacts: Artifacts, path: str) -> Iterator[StoredFile]:
    prefix = f"{path}/" if path else ""
    found = sorted(files_of(artifacts, path))
    for place, size_bytes in found:
        yield StoredFile(place.removeprefix(prefix), size_bytes, artifacts, place)
