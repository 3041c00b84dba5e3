"""Artifacts in any storage that fsspec knows: S3, Google Cloud Storage, Azure, SFTP, ...

Nothing is held in memory but a few blocks, however large a file is.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import fsspec

from flowrun.errors import (
    FlowrunError,
    InvalidValueError,
    NotFoundError,
    StoreError,
    UnsupportedError,
)
from flowrun.tracking.artifact_paths import check_artifact_path
from flowrun.tracking.entities import ArtifactInfo
from flowrun.tracking.local_artifacts import files_below, open_regular

_READ_BYTES = 4 * 2**20
_PART_BYTES = 8 * 2**20
"""The size of the parts a large file is sent in; S3 takes 10,000 of them, so 80 GB."""

S3_SCHEMES = frozenset({"s3", "s3a"})
_BUCKET_SCHEMES = S3_SCHEMES | {"gs", "gcs", "abfs", "abfss", "az"}
"""No folders have to be made there: to make one would be to make a bucket."""
_READ_ONLY_SCHEMES = frozenset({"http", "https"})
_EXTRAS = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gcs",
    "gcs": "gcs",
    "abfs": "azure",
    "abfss": "azure",
    "az": "azure",
    "http": "http",
    "https": "http",
}
"""What `pip install flowrun[...]` adds for a storage."""


class RemoteArtifacts:
    """The `Artifacts` below a path of a file system of fsspec's."""

    def __init__(self, files: fsspec.AbstractFileSystem, root: str, uri: str) -> None:
        self._files = files
        self._root = root.rstrip("/")
        self._uri = uri
        scheme = urlsplit(uri).scheme
        self._is_read_only = scheme in _READ_ONLY_SCHEMES
        self._takes_parts = scheme in S3_SCHEMES
        self._has_folders = scheme not in _BUCKET_SCHEMES

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
                size_bytes = None if is_dir else entry["size"]
                found.append(ArtifactInfo(inner, is_dir, size_bytes))
            return sorted(found, key=lambda info: info.path)

    def exists(self, path: str) -> bool:
        """Tell whether there is a file or folder."""
        with self._plain_errors(path):
            return bool(self._files.exists(self._place(path)))

    def open(self, path: str) -> BinaryIO:
        """Open a file for reading."""
        with self._plain_errors(path):
            file: BinaryIO = self._files.open(self._place(path), "rb", block_size=_READ_BYTES)
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
            place = self._place_to_write(path)
            with open_regular(local) as source:
                if self._takes_parts:
                    self._put_in_parts(place, source)
                    return
            self._files.put_file(str(local), place)

    def put_directory(self, local: Path, path: str) -> None:
        """Store a copy of a local folder's content below `path`."""
        for inner, place in files_below(local):
            self.put_file(place, f"{path.rstrip('/')}/{inner}" if path else inner)

    def put_bytes(self, path: str, content: bytes) -> None:
        """Store bytes as `path`."""
        with self._plain_errors(path):
            self._files.pipe_file(self._place_to_write(path), content)

    def put_stream(self, path: str, stream: BinaryIO) -> None:
        """Store what a stream gives until its end as `path`."""
        with self._plain_errors(path):
            place = self._place_to_write(path)
            if self._takes_parts:
                self._put_in_parts(place, stream)
                return
            # Through a local file: a stream that breaks off must not leave half an object.
            with tempfile.NamedTemporaryFile() as whole:
                shutil.copyfileobj(stream, whole)
                whole.flush()
                self._files.put_file(whole.name, place)

    def delete(self, path: str) -> None:
        """Remove a file, or a folder with all it holds."""
        with self._plain_errors(path):
            self._check_writable()
            self._files.invalidate_cache()
            self._files.rm(self._place(path), recursive=True)

    def local_path(self, path: str) -> Path | None:
        """Give None: the files are elsewhere."""
        if not self.exists(path):
            raise NotFoundError(f"No such artifact: '{path}'")
        return None

    def _put_in_parts(self, place: str, stream: BinaryIO) -> None:
        """Send a stream as it comes; the object appears when the last part is there, or never."""
        head = _block(stream)
        if len(head) < _PART_BYTES:
            self._files.pipe_file(place, head)
            return
        target = self._files.open(place, "wb", block_size=_PART_BYTES, autocommit=False)
        try:
            while head:
                target.write(head)
                head = _block(stream)
            target.close()
            target.commit()
        except BaseException:
            target.discard()
            target.closed = True  # else its end as garbage would send the rest
            raise

    def _place_to_write(self, path: str) -> str:
        self._check_writable()
        place = self._place(path)
        if self._has_folders:
            self._files.makedirs(place.rpartition("/")[0], exist_ok=True)
        return place

    def _check_writable(self) -> None:
        if self._is_read_only:
            raise UnsupportedError(f"artifacts at '{self._uri}' can only be read")

    def _place(self, path: str) -> str:
        checked = check_artifact_path(path)
        return f"{self._root}/{checked}" if checked else self._root

    @contextlib.contextmanager
    def _plain_errors(self, path: str) -> Iterator[None]:
        try:
            yield
        except FlowrunError:
            raise
        except (FileNotFoundError, IsADirectoryError):
            raise NotFoundError(f"No such artifact: '{path}'") from None
        except Exception as error:  # each storage's library has errors of its own, some no OSError
            raise StoreError(f"artifacts {self._uri}: '{path}': {error}") from error


def _block(stream: BinaryIO) -> bytes:
    """Read the next part; a shorter one is the last."""
    block = stream.read(_PART_BYTES)
    while len(block) < _PART_BYTES and (more := stream.read(_PART_BYTES - len(block))):
        block += more
    return block


def open_remote(uri: str, path: str, variables: Mapping[str, str]) -> RemoteArtifacts:
    """Open the folder `path` below a URL.

    Args:
        uri: of a kind in REMOTE_SCHEMES.
        path: checked.
        variables: MLflow's, that say where a storage is; the storages' packages read their own
            (`AWS_...`, `GOOGLE_...`, `AZURE_...`) from the process's environment.

    Raises:
        UnsupportedError: the package that fsspec needs for it is not installed.
    """
    check_installed(uri)
    scheme = urlsplit(uri).scheme
    options = s3_options(variables) if scheme in S3_SCHEMES else {}
    try:
        files, root = fsspec.core.url_to_fs(uri, **options)
    except ValueError as error:
        raise InvalidValueError(f"artifacts at '{uri}': {error}") from error
    return RemoteArtifacts(files, f"{root}/{path}" if path else root, uri)


def check_installed(uri: str) -> None:
    """Refuse a storage whose package is absent; starts no threads, so a fork may follow.

    Raises:
        UnsupportedError: it has to be installed first.
    """
    scheme = urlsplit(uri).scheme
    try:
        fsspec.get_filesystem_class(scheme)
    except ImportError as error:
        extra = _EXTRAS.get(scheme)
        hint = f"pip install 'flowrun[{extra}]'" if extra else None
        raise UnsupportedError(f"artifacts at '{uri}': {error}", hint) from error


def s3_options(variables: Mapping[str, str]) -> dict[str, object]:
    """Give how S3 is reached, by the variables that MLflow reads."""
    options: dict[str, object] = {}
    if endpoint := variables.get("MLFLOW_S3_ENDPOINT_URL"):
        options["endpoint_url"] = endpoint
    if variables.get("MLFLOW_S3_IGNORE_TLS", "").lower() in {"true", "1"}:
        options["client_kwargs"] = {"verify": False}
    return options
