"""Artifacts in any storage that fsspec knows: S3, Google Cloud Storage, Azure, SFTP, ..."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import fsspec

from flowrun.errors import InvalidValueError, NotFoundError, StoreError, UnsupportedError
from flowrun.tracking.artifact_paths import check_artifact_path
from flowrun.tracking.entities import ArtifactInfo
from flowrun.tracking.local_artifacts import files_below, open_regular


class RemoteArtifacts:
    """The `Artifacts` below a path of a file system of fsspec's."""

    def __init__(self, files: fsspec.AbstractFileSystem, root: str, uri: str) -> None:
        self._files = files
        self._root = root.rstrip("/")
        self._uri = uri

    def list(self, path: str = "") -> Sequence[ArtifactInfo]:
        """Give what a folder holds, by name."""
        with self._plain_errors(path):
            place = self._place(path)
            # Object storage is cached by fsspec, and others write there.
            self._files.invalidate_cache()
            if not self._files.isdir(place):
                return []
            found = []
            for entry in self._files.ls(place, detail=True):
                name = str(entry["name"]).rstrip("/").rpartition("/")[2]
                is_dir = entry["type"] == "directory"
                inner = f"{path.rstrip('/')}/{name}" if path else name
                found.append(ArtifactInfo(inner, is_dir, None if is_dir else int(entry["size"])))
            return sorted(found, key=lambda info: info.path)

    def exists(self, path: str) -> bool:
        """Tell whether there is a file or folder."""
        with self._plain_errors(path):
            return bool(self._files.exists(self._place(path)))

    def open(self, path: str) -> BinaryIO:
        """Open a file for reading."""
        with self._plain_errors(path):
            file: BinaryIO = self._files.open(self._place(path), "rb")
            return file

    def get(self, path: str, into: Path) -> None:
        """Copy a file or folder to `into`."""
        with self._plain_errors(path):
            if self._files.isdir(self._place(path)):
                into.mkdir(parents=True, exist_ok=True)
                for info in self.list(path):
                    # The name comes from the storage: it must be one, and no way out of `into`.
                    name = check_artifact_path(info.path).rpartition("/")[2]
                    self.get(info.path, into / name)
                return
            into.parent.mkdir(parents=True, exist_ok=True)
            with self.open(path) as source, into.open("wb") as target:
                shutil.copyfileobj(source, target)

    def put_file(self, local: Path, path: str) -> None:
        """Store a copy of a local file as `path`."""
        with self._plain_errors(path):
            open_regular(local).close()
            place = self._place(path)
            self._files.makedirs(place.rpartition("/")[0], exist_ok=True)
            self._files.put_file(str(local), place)

    def put_directory(self, local: Path, path: str) -> None:
        """Store a copy of a local folder's content below `path`."""
        for inner, place in files_below(local):
            self.put_file(place, f"{path.rstrip('/')}/{inner}" if path else inner)

    def put_bytes(self, path: str, content: bytes) -> None:
        """Store bytes as `path`."""
        with self._plain_errors(path):
            place = self._place(path)
            self._files.makedirs(place.rpartition("/")[0], exist_ok=True)
            self._files.pipe_file(place, content)

    def put_stream(self, path: str, stream: BinaryIO) -> None:
        """Store what a stream gives until its end as `path`."""
        # Through a local file: a stream that breaks off must not leave half an object.
        with tempfile.NamedTemporaryFile() as whole:
            shutil.copyfileobj(stream, whole)
            whole.flush()
            self.put_file(Path(whole.name), path)

    def delete(self, path: str) -> None:
        """Remove a file, or a folder with all it holds."""
        with self._plain_errors(path):
            self._files.rm(self._place(path), recursive=True)

    def local_path(self, path: str) -> Path | None:
        """Give None: the files are elsewhere."""
        if not self.exists(path):
            raise NotFoundError(f"No such artifact: '{path}'")
        return None

    def _place(self, path: str) -> str:
        checked = check_artifact_path(path)
        return f"{self._root}/{checked}" if checked else self._root

    @contextlib.contextmanager
    def _plain_errors(self, path: str) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, IsADirectoryError):
            raise NotFoundError(f"No such artifact: '{path}'") from None
        except OSError as error:
            raise StoreError(f"artifacts {self._uri}: '{path}': {error}") from error


def open_remote(uri: str, path: str) -> RemoteArtifacts:
    """Open the folder `path` below a URL.

    Raises:
        UnsupportedError: the package that fsspec needs for it is not installed.
    """
    try:
        files, root = fsspec.core.url_to_fs(uri)
    except ImportError as error:
        raise UnsupportedError(f"artifacts at '{uri}': {error}") from error
    except ValueError as error:
        raise InvalidValueError(f"artifacts at '{uri}': {error}") from error
    return RemoteArtifacts(files, f"{root}/{path}" if path else root, uri)
