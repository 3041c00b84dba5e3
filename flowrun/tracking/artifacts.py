"""Artifacts: files of runs and models, below the URI that a run, model or experiment has."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, Protocol
from urllib.parse import unquote, urlsplit

from flowrun.errors import InvalidValueError, UnsupportedError
from flowrun.tracking.artifact_paths import check_artifact_path, check_uri
from flowrun.tracking.entities import ArtifactInfo
from flowrun.tracking.local_artifacts import LocalArtifacts
from flowrun.valueclass import valueclass

PROXIED = "mlflow-artifacts"
"""The scheme of artifacts that lie under a destination which only flowrun knows."""

REMOTE_SCHEMES = frozenset(
    {
        *("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "hdfs", "sftp"),
        *("http", "https", "memory"),
    }
)
"""Kinds of storage that fsspec is asked for; it knows others that lead elsewhere (`zip::file:`)."""

NO_VARIABLES: Mapping[str, str] = MappingProxyType({})


class Artifacts(Protocol):
    """The files below one URI. Paths are relative to it, with `/`; '' is the root.

    Each call raises InvalidValueError for a path that leads out of the root, and StoreError where
    the storage fails. A file appears whole or not at all.
    """

    def list(self, path: str = "") -> Sequence[ArtifactInfo]:
        """Give what a folder holds, by name; nothing if there is no such folder."""

    def exists(self, path: str) -> bool:
        """Tell whether there is a file or folder."""

    def open(self, path: str) -> BinaryIO:
        """Open a file for reading; NotFoundError if there is none."""

    def get(self, path: str, into: Path) -> None:
        """Copy a file or folder to `into`, which becomes that file or folder."""

    def put_file(self, local: Path, path: str) -> None:
        """Store a copy of a local file as `path`, in place of what is there."""

    def put_directory(self, local: Path, path: str) -> None:
        """Store a copy of a local folder's content below `path`, beside what is there.

        Links to what lies in the folder are followed; InvalidValueError for one that leads out.
        """

    def put_bytes(self, path: str, content: bytes) -> None:
        """Store bytes as `path`, in place of what is there."""

    def put_stream(self, path: str, stream: BinaryIO) -> None:
        """Store what a stream gives until its end as `path`, in place of what is there."""

    def delete(self, path: str) -> None:
        """Remove a file, or a folder with all it holds; NotFoundError if there is neither."""

    def local_path(self, path: str) -> Path | None:
        """Give where a file or folder lies on this machine, for reading; None if elsewhere.

        Raises:
            NotFoundError: there is none.
        """


@valueclass
class PartsUpload:
    """A file that a client sends in parts, by itself."""

    upload_id: str
    urls: Sequence[str]
    """One for each part, to PUT it at."""


class DirectTransfer(Protocol):
    """What some storages offer beside: URLs at which clients move files without this process.

    Each call raises InvalidValueError for a path that leads out of the root, and StoreError where
    the storage fails.
    """

    def download_url(self, path: str, valid_s: int) -> tuple[str, int]:
        """Give a URL to GET a file at, and its size in bytes; NotFoundError if there is none."""

    def upload_url(self, path: str, valid_s: int) -> str:
        """Give a URL to PUT a file at."""

    def start_parts(self, path: str, count: int) -> PartsUpload:
        """Begin a file of so many parts; it appears with `complete_parts`."""

    def complete_parts(self, path: str, upload_id: str, parts: Sequence[tuple[int, str]]) -> None:
        """Put a file together from its parts: their numbers from 1 on, and ETags."""

    def abort_parts(self, path: str, upload_id: str) -> None:
        """Give a file up, and remove the parts that are there."""


def open_artifacts(
    uri: str, *, destination: str, variables: Mapping[str, str] = NO_VARIABLES
) -> Artifacts:
    """Open the artifacts at a URI; nothing is read or made yet.

    Args:
        uri: `mlflow-artifacts:/...`, an absolute path, `file:///...`, or a URL of a kind in
            REMOTE_SCHEMES. A caller that has the URI from somebody else decides first whether
            that one may name a place outside the destination.
        destination: a directory or URL, under which `mlflow-artifacts:/` lies.
        variables: MLflow's environment variables for storages (`MLFLOW_S3_ENDPOINT_URL`).

    Raises:
        InvalidValueError: the URI is malformed or climbs. UnsupportedError: of another kind, or
            the package for it is not installed.
    """
    place, path = _located(uri, destination)
    parts = urlsplit(place)
    if parts.scheme in {"", "file"}:
        directory = _directory_of(unquote(parts.path) if parts.scheme else place)
        if parts.netloc not in {"", "localhost"} or not directory.is_absolute():
            raise InvalidValueError(f"Invalid path '{place}': it is no absolute path here.")
        return LocalArtifacts(directory, path)
    if parts.scheme not in REMOTE_SCHEMES:
        raise UnsupportedError(f"artifacts can't be kept at '{place}': no storage is called so")
    # By name: fsspec takes as long to import as all else here together.
    remote = importlib.import_module("flowrun.tracking.remote_artifacts")
    opened: Artifacts = remote.open_remote(place, path, variables)
    return opened


_directory_of = lru_cache(maxsize=16)(Path)
"""One and the same for all runs."""


def open_transfer(
    uri: str, *, destination: str, variables: Mapping[str, str] = NO_VARIABLES
) -> DirectTransfer | None:
    """Open the same place for direct transfers; None if its storage has none."""
    place, path = _located(uri, destination)
    if not offers_transfer(place):
        return None
    s3 = importlib.import_module("flowrun.tracking.s3_transfer")
    opened: DirectTransfer = s3.open_s3_transfer(place, path, variables)
    return opened


def offers_transfer(place: str) -> bool:
    """True for a storage with direct transfers: S3."""
    return urlsplit(place).scheme in {"s3", "s3a"}


def _located(uri: str, destination: str) -> tuple[str, str]:
    """Give the directory or URL of the storage, and the path in it."""
    check_uri(uri)
    parts = urlsplit(uri)
    if parts.scheme != PROXIED:
        return uri, ""
    if parts.netloc:
        raise InvalidValueError(
            f"Invalid path '{uri}': artifacts of the server {parts.netloc} are only known there."
        )
    return destination, check_artifact_path(parts.path.lstrip("/"))
