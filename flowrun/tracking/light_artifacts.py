"""Stores files among a run's artifacts, for the light client."""

from __future__ import annotations

import io
import os
from urllib.parse import unquote, urlsplit

from flowrun.tracking.light_http import Http, TrackingError

TYPE_CHECKING = False  # typing is slow to import, and needed for nothing else
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

_PROXIED = "mlflow-artifacts"
_CHUNK_BYTES = 2**20
_MAX_DEPTH = 50


class ArtifactFolder:
    """A run's artifacts: behind the server, or in a folder of this machine."""

    def __init__(self, http: Http, uri: str) -> None:
        """Look at where the run's artifacts lie.

        Raises:
            TrackingError: they lie where only MLflow's own client can write.
        """
        parts = urlsplit(uri)
        is_behind_server = parts.scheme == _PROXIED and not parts.netloc
        if not is_behind_server and parts.scheme not in ("", "file"):
            raise TrackingError(
                f"the run's artifacts are at {uri}, where flowrun's light client can't write; "
                "store them with `import mlflow`"
            )
        self._http = http if is_behind_server else None
        self._root = parts.path.strip("/") if is_behind_server else unquote(parts.path)

    def put_bytes(self, content: bytes, name: str) -> None:
        """Store bytes under a name, which may have folders."""
        self._put(io.BytesIO(content), len(content), name)

    def put_file(self, path: str, name: str) -> None:
        """Store a file of this machine under a name, which may have folders."""
        try:
            with open(path, "rb") as file:
                self._put(file, os.fstat(file.fileno()).st_size, name)
        except OSError as error:
            raise TrackingError(f"can't store '{path}' as an artifact: {error.strerror}") from error

    def put_folder(self, root: str, name: str) -> None:
        """Store all files below a folder of this machine, under a name that may be empty."""
        for path in _files_below(root):
            inside = os.path.relpath(path, root).replace(os.sep, "/")
            self.put_file(path, f"{name}/{inside}" if name else inside)

    def get_folder(self, name: str, into: str) -> str:
        """Give a folder of this machine with all that lies below a name, which may be empty.

        Args:
            name: of the folder.
            into: where a copy is made; what is on this machine is not copied.
        """
        if self._http is None:
            return os.path.join(self._root, name) if name else self._root
        self._copy_below(self._http, f"{self._root}/{name}" if name else self._root, into, 0)
        return into

    def _copy_below(self, http: Http, place: str, into: str, depth: int) -> None:
        if depth > _MAX_DEPTH:
            raise TrackingError(f"{http.url} names folders in folders without end: {place:.200}")
        for item in http.list_artifacts(place):
            name = str(item["path"])
            if name in ("", ".", "..") or "/" in name or "\\" in name or "\0" in name:
                raise TrackingError(f"{http.url} names an artifact that can't be: {name!r}")
            if item.get("is_dir"):
                self._copy_below(http, f"{place}/{name}", os.path.join(into, name), depth + 1)
                continue
            os.makedirs(into, exist_ok=True)
            with open(os.path.join(into, name), "wb") as file:
                file.write(http.get_artifact(f"{place}/{name}"))

    def _put(self, file: BinaryIO, size_bytes: int, name: str) -> None:
        if self._http is not None:
            self._http.put_artifact(f"{self._root}/{name}", file, size_bytes)
            return
        target = os.path.join(self._root, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as copy:
            while chunk := file.read(_CHUNK_BYTES):
                copy.write(chunk)


def _files_below(root: str) -> Iterator[str]:
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            yield os.path.join(folder, name)
