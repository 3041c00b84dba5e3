"""Artifacts that a tracking server keeps: `mlflow-artifacts:/`, fetched and stored through it.

Source: MLflow's proxied artifact access, `/api/2.0/mlflow-artifacts/artifacts`.
"""

from __future__ import annotations

import http.client
import io
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote, unquote, urlsplit

from flowrun.errors import InvalidValueError, NotFoundError, StoreError
from flowrun.tracking.artifact_paths import check_artifact_path, check_uri
from flowrun.tracking.artifacts import PROXIED, Artifacts, open_artifacts
from flowrun.tracking.entities import ArtifactInfo
from flowrun.tracking.fields import Fields
from flowrun.tracking.local_artifacts import files_below, open_regular
from flowrun.tracking.rest.part import page_from
from flowrun.tracking.rest.server import Answer, Request, Server

_API = "/api/2.0/mlflow-artifacts/"
_CHUNK_BYTES = 1 << 20
_TRIES = 3
"""How often a file is fetched that breaks off in the middle."""


class RestArtifacts:
    """The `Artifacts` below a path of those that a server keeps."""

    def __init__(self, server: Server, root: str) -> None:
        """Look below `root`, a path that was checked."""
        self._server = server
        self._root = root.strip("/")

    def list(self, path: str = "") -> Sequence[ArtifactInfo]:
        """Give what a folder holds, by name."""
        folder = check_artifact_path(path)
        query = {"path": self._below(folder) or None}
        page = self._server.get("artifacts", query, page_from("files", _info), _API)
        found = []
        for info in page.items:
            # The server says names; one that is a path would lead elsewhere.
            name = check_artifact_path(info.path)
            if not name or "/" in name:
                raise StoreError(f"{self._server.url} lists an artifact called '{info.path}'")
            inner = f"{folder}/{name}" if folder else name
            found.append(ArtifactInfo(inner, info.is_dir, info.size_bytes))
        return sorted(found, key=lambda info: info.path)

    def exists(self, path: str) -> bool:
        """Tell whether there is a file or folder."""
        return self._find(path) is not None

    def open(self, path: str) -> BinaryIO:
        """Open a file for reading."""
        return io.BufferedReader(self._download(path), _CHUNK_BYTES)

    def get(self, path: str, into: Path) -> None:
        """Copy a file or folder to `into`."""
        inside = self.list(path)
        if inside or not check_artifact_path(path):
            into.mkdir(parents=True, exist_ok=True)
            for info in inside:
                self.get(info.path, into / info.path.rpartition("/")[2])
            return
        into.parent.mkdir(parents=True, exist_ok=True)
        self._get_file(path, into)

    def put_file(self, local: Path, path: str) -> None:
        """Store a copy of a local file as `path`."""
        place = self._place(path)
        try:
            with open_regular(local) as file:
                self._upload(place, path, file)
        except FileNotFoundError as error:
            raise NotFoundError(f"{local}: {error.strerror}") from error

    def put_directory(self, local: Path, path: str) -> None:
        """Store a copy of a local folder's content below `path`."""
        self._place(path)
        for inner, place in files_below(local):
            self.put_file(place, f"{path.rstrip('/')}/{inner}" if path else inner)

    def put_bytes(self, path: str, content: bytes) -> None:
        """Store bytes as `path`."""
        self._upload(self._place(path), path, io.BytesIO(content))

    def put_stream(self, path: str, stream: BinaryIO) -> None:
        """Store what a stream gives until its end as `path`."""
        place = self._place(path)
        # Through a local file: it can be sent again if the server goes away, and its size is known.
        with tempfile.TemporaryFile() as whole:
            shutil.copyfileobj(stream, whole, _CHUNK_BYTES)
            whole.seek(0)
            self._upload(place, path, whole)

    def delete(self, path: str) -> None:
        """Remove a file, or a folder with all it holds."""
        place = self._place(path)
        if not self.exists(path):
            raise _missing(path)
        self._server.do("DELETE", f"artifacts/{place}", {}, api=_API)

    def local_path(self, path: str) -> Path | None:
        """Give None: the files are elsewhere."""
        if not self.exists(path):
            raise _missing(path)
        return None

    def _find(self, path: str) -> ArtifactInfo | None:
        checked = check_artifact_path(path)
        if not checked:
            return ArtifactInfo("", is_dir=True, size_bytes=None) if self.list() else None
        folder = checked.rpartition("/")[0]
        return next((info for info in self.list(folder) if info.path == checked), None)

    def _get_file(self, path: str, into: Path) -> None:
        part = into.with_name(f".{into.name}.part")
        try:
            for tries_left in reversed(range(_TRIES)):
                try:
                    with self._download(path) as source, part.open("wb") as target:
                        shutil.copyfileobj(source, target, _CHUNK_BYTES)
                    break
                except _BrokenOffError:
                    if not tries_left:
                        raise
            part.replace(into)
        finally:
            part.unlink(missing_ok=True)

    def _download(self, path: str) -> _Download:
        request = Request("GET", f"{_API}artifacts/{self._place(path)}", f"fetching '{path}'")

        def take(answer: Answer) -> _Download:
            return _Download(answer, f"{self._server.url}: '{path}'")

        try:
            return self._server.exchange(request, take)
        except NotFoundError:
            raise _missing(path) from None

    def _upload(self, place: str, path: str, file: BinaryIO) -> None:
        start = file.tell()
        size = file.seek(0, io.SEEK_END) - start
        file.seek(start)
        self._server.exchange(
            Request("PUT", f"{_API}artifacts/{place}", f"storing '{path}'", file, size), Answer.read
        )

    def _place(self, path: str) -> str:
        return quote(self._below(check_artifact_path(path)))

    def _below(self, checked: str) -> str:
        return "/".join(filter(None, (self._root, checked)))


class _BrokenOffError(StoreError):
    """The connection ended before the file did."""


class _Download(io.RawIOBase):
    """A file that is on its way; the connection is kept if it is read to its end."""

    def __init__(self, answer: Answer, what: str) -> None:
        self._answer = answer
        self._what = what
        self._expected = answer.response.length
        self._got = 0
        self._is_done = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override] # no Buffer before 3.12
        try:
            count = self._answer.response.readinto(buffer)
        except (OSError, http.client.HTTPException) as error:
            raise _BrokenOffError(f"{self._what} broke off: {error}") from error
        self._got += count
        if count == 0 and len(buffer):
            if self._expected is not None and self._got < self._expected:
                raise _BrokenOffError(
                    f"{self._what} broke off after {self._got} of {self._expected} bytes"
                )
            if not self._is_done:
                self._is_done = True
                self._answer.done()
        return count

    def close(self) -> None:
        if not self.closed and not self._is_done:
            self._answer.abort()
        super().close()


def artifact_root(uri: str, server: Server) -> str:
    """Give the path that an `mlflow-artifacts:` URI names on a server.

    Raises:
        InvalidValueError: it climbs, or names another server.
    """
    check_uri(uri)
    parts = urlsplit(uri)
    host = urlsplit(server.url).netloc
    if parts.netloc not in {"", host}:
        raise InvalidValueError(
            f"'{uri}' lies on the server {parts.netloc}, and this run is recorded on {host}"
        )
    return check_artifact_path(parts.path.strip("/"))


def open_through(server: Server, uri: str) -> Artifacts:
    """Open the artifacts at a URI that a server handed out; nothing is read or made yet.

    Args:
        server: keeps those of `mlflow-artifacts:/`. Others are opened directly, as MLflow's clients
            do: whoever records on a server lets it say where the files go.
        uri: of a run, a logged model or a version.

    Raises:
        StoreError: it is a folder of the server's own machine.
    """
    whole = f"{server.url}{_API}artifacts/"
    if uri.startswith(whole):
        return RestArtifacts(server, check_artifact_path(uri.removeprefix(whole).strip("/")))
    parts = urlsplit(uri)
    if parts.scheme == PROXIED:
        return RestArtifacts(server, artifact_root(uri, server))
    if parts.scheme in {"", "file"} and not server.address.is_loopback:
        _check_is_shared(Path(unquote(parts.path)), server.url)
    return open_artifacts(uri, destination=server.url)


def _check_is_shared(folder: Path, url: str) -> None:
    """Refuse a folder of which nothing is here: files put there would be on the wrong machine."""
    # Of `<root>/<experiment>/<run>/artifacts` a new run has nothing but the root.
    if not any(parent.is_dir() for parent in (folder, *folder.parents[:3]) if parent.parent.name):
        raise StoreError(
            f"{url} keeps artifacts in {folder}, which is not on this machine",
            "Start the server with --artifacts-destination (it then hands files on), or mount "
            "its folder here.",
        )


def _info(fields: Fields) -> ArtifactInfo:
    is_dir = fields.flag("is_dir")
    size = None if is_dir else fields.integer_or("file_size", 0)
    return ArtifactInfo(fields.text("path"), is_dir, size)


def _missing(path: str) -> NotFoundError:
    return NotFoundError(f"No such artifact: '{path}'")
