"""Artifacts: files of runs and models, below the URI that a run, model or experiment has."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import unquote, urlsplit

from flowrun.errors import InvalidValueError, UnsupportedError
from flowrun.tracking.artifact_paths import check_artifact_path, check_uri
from flowrun.tracking.entities import ArtifactInfo
from flowrun.tracking.local_artifacts import LocalArtifacts

PROXIED = "mlflow-artifacts"
"""The scheme of artifacts that lie under a destination which only flowrun knows."""

REMOTE_SCHEMES = frozenset(
    {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "wasbs", "hdfs", "sftp", "memory"}
)
"""Kinds of storage that fsspec is asked for; it knows others that lead elsewhere (`zip::file:`)."""


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


def open_artifacts(uri: str, *, destination: str) -> Artifacts:
    """Open the artifacts at a URI; nothing is read or made yet.

    Args:
        uri: `mlflow-artifacts:/...`, an absolute path, `file:///...`, or a URL of a kind in
            REMOTE_SCHEMES. A caller that has the URI from somebody else decides first whether
            that one may name a place outside the destination.
        destination: a directory or URL, under which `mlflow-artifacts:/` lies.

    Raises:
        InvalidValueError: the URI is malformed or climbs. UnsupportedError: of another kind, or
            the package for it is not installed.
    """
    check_uri(uri)
    parts = urlsplit(uri)
    if parts.scheme != PROXIED:
        return _open(uri)
    if parts.netloc:
        raise InvalidValueError(
            f"Invalid path '{uri}': artifacts of the server {parts.netloc} are only known there."
        )
    path = check_artifact_path(parts.path.lstrip("/"))
    return _open(destination, path)


def _open(uri: str, path: str = "") -> Artifacts:
    parts = urlsplit(uri)
    if parts.scheme in {"", "file"}:
        place = Path(unquote(parts.path) if parts.scheme else uri)
        if parts.netloc not in {"", "localhost"} or not place.is_absolute():
            raise InvalidValueError(f"Invalid path '{uri}': it is no absolute path here.")
        return LocalArtifacts(place, path)
    if parts.scheme not in REMOTE_SCHEMES:
        raise UnsupportedError(f"artifacts can't be kept at '{uri}': no storage is called so")
    # By name: fsspec takes as long to import as all else here together.
    remote = importlib.import_module("flowrun.tracking.remote_artifacts")
    opened: Artifacts = remote.open_remote(uri, path)
    return opened
