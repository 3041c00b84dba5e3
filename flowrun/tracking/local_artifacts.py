"""Artifacts in a directory of this machine."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from flowrun.errors import InvalidValueError, NotFoundError, StoreError
from flowrun.tracking.artifact_paths import check_artifact_path
from flowrun.tracking.entities import ArtifactInfo

_UNFINISHED = ".flowrun-unfinished-"
"""What the names of files that are still being written begin with; they are not listed."""

_CHUNK_BYTES = 1 << 20

_FICLONE = 0x40049409
"""Shares a file's blocks with another file. Source: man 2 ioctl_ficlone."""


class LocalArtifacts:
    """The `Artifacts` in the folder `path` of a directory; both may not exist yet."""

    def __init__(self, directory: Path, path: str = "") -> None:
        self._directory = directory
        self._path = path

    @property
    def _root(self) -> Path:
        return self._directory / self._path

    def list(self, path: str = "") -> Sequence[ArtifactInfo]:
        """Give what a folder holds, by name."""
        with self._plain_errors(path):
            folder = self._place(path)
            if not folder.is_dir():
                return []
            found = []
            for entry in sorted(folder.iterdir()):
                place = entry.resolve()
                is_inside = place.is_relative_to(self._root.resolve())
                if not entry.name.startswith(_UNFINISHED) and is_inside and place.exists():
                    inner = f"{path.rstrip('/')}/{entry.name}" if path else entry.name
                    found.append(_info(place, inner))
            return found

    def exists(self, path: str) -> bool:
        """Tell whether there is a file or folder."""
        return self._place(path).exists()

    def open(self, path: str) -> BinaryIO:
        """Open a file for reading."""
        with self._plain_errors(path):
            place = self._existing(path)
            if place.is_dir():
                raise NotFoundError(f"No such artifact: '{path}' is a folder")
            # Not through a link put there since the check.
            return os.fdopen(os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")

    def get(self, path: str, into: Path) -> None:
        """Copy a file or folder to `into`."""
        with self._plain_errors(path):
            place = self._existing(path)
            if place.is_dir():
                into.mkdir(parents=True, exist_ok=True)
                for info in self.list(path):
                    self.get(info.path, into / info.path.rpartition("/")[2])
                return
            into.parent.mkdir(parents=True, exist_ok=True)
            with self.open(path) as source, into.open("wb") as target:
                _copy(source, target)

    def put_file(self, local: Path, path: str) -> None:
        """Store a copy of a local file as `path`."""
        with self._plain_errors(path), open_regular(local) as source:
            self._write(path, lambda target: _copy(source, target))

    def put_directory(self, local: Path, path: str) -> None:
        """Store a copy of a local folder's content below `path`."""
        for inner, place in files_below(local):
            self.put_file(place, f"{path.rstrip('/')}/{inner}" if path else inner)

    def put_bytes(self, path: str, content: bytes) -> None:
        """Store bytes as `path`."""
        with self._plain_errors(path):
            self._write(path, lambda target: target.write(content))

    def put_stream(self, path: str, stream: BinaryIO) -> None:
        """Store what a stream gives until its end as `path`."""
        with self._plain_errors(path):
            self._write(path, lambda target: shutil.copyfileobj(stream, target, _CHUNK_BYTES))

    def delete(self, path: str) -> None:
        """Remove a file, or a folder with all it holds."""
        with self._plain_errors(path):
            place = self._existing(path)
            parent, _, name = check_artifact_path(path).rpartition("/")
            if name:
                # The name itself goes, not what it may link to.
                place = self._place(parent) / name
            if place.is_dir() and not place.is_symlink():
                shutil.rmtree(place)
            else:
                place.unlink()

    def local_path(self, path: str) -> Path | None:
        """Give where a file or folder lies."""
        return self._existing(path)

    def _write(self, path: str, fill: Callable[[BinaryIO], object]) -> None:
        place = self._place(path)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise InvalidValueError(f"Invalid path '{path}': a file is in its way.") from None
        if place.is_dir():
            raise InvalidValueError(f"Invalid path '{path}': it is a folder.")
        descriptor, unfinished = tempfile.mkstemp(prefix=_UNFINISHED, dir=place.parent)
        try:
            with os.fdopen(descriptor, "wb") as target:
                fill(target)
            Path(unfinished).replace(place)
        except BaseException:
            Path(unfinished).unlink(missing_ok=True)
            raise

    def _existing(self, path: str) -> Path:
        place = self._place(path)
        if not place.exists():
            raise NotFoundError(f"No such artifact: '{path}'")
        return place

    def _place(self, path: str) -> Path:
        """Give the very path to open: every link on the way is followed, then it is checked."""
        parts = *self._path.split("/"), *check_artifact_path(path).split("/")
        if plain := _without_links(_resolved(self._directory), parts):
            return Path(plain)
        root = self._root.resolve()
        place = (root / check_artifact_path(path)).resolve()
        if not place.is_relative_to(root) or not root.is_relative_to(self._directory.resolve()):
            raise InvalidValueError(f"Invalid path '{path}': it leads out of its place.")
        return place

    @contextlib.contextmanager
    def _plain_errors(self, path: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(
                f"artifacts {self._root}: '{path}': {error.strerror or error}"
            ) from error


def _without_links(directory: str, parts: Iterable[str]) -> str | None:
    """Give the path of a name in a directory; None if a link, or a climb, is on the way there."""
    place = directory
    for part in filter(None, parts):
        place = f"{place}/{part}"
        if part in {".", ".."} or os.path.islink(place):  # noqa: PTH114 - called for thousands
            return None
    return place


@lru_cache(maxsize=16)
def _resolved(directory: Path) -> str:
    """Give the place of a storage's directory, which is the operator's, without links."""
    return os.path.realpath(directory)


def files_below(folder: Path) -> list[tuple[str, Path]]:
    """Give the files of a folder with their paths in it, links followed and resolved.

    Raises:
        InvalidValueError: something there is no regular file, or a link that leads out of the
            folder, in a circle or to nothing: whoever made the folder may want what is there.
    """
    top = folder.resolve()
    found: list[tuple[str, Path]] = []
    waiting = [(folder, "", frozenset({top}))]
    while waiting:
        current, prefix, above = waiting.pop()
        for entry in current.iterdir():
            place = entry.resolve()
            if not place.is_relative_to(top):
                raise InvalidValueError(f"{entry} is a link that leads out of {folder}")
            if place in above:
                raise InvalidValueError(f"{entry} is a link that leads in a circle")
            if place.is_dir():
                waiting.append((place, f"{prefix}{entry.name}/", above | {place}))
            elif place.is_file():
                found.append((f"{prefix}{entry.name}", place))
            else:
                raise InvalidValueError(f"{entry} is no file")
    return sorted(found)


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading; InvalidValueError for a device or pipe, which could block."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFoundError(f"No such file: '{path}'") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InvalidValueError(f"{path} is no file")
    return os.fdopen(descriptor, "rb")


def _copy(source: BinaryIO, target: BinaryIO) -> None:
    try:
        fcntl.ioctl(target.fileno(), _FICLONE, source.fileno())
    except OSError:
        # The file system can't share blocks, or the files are on different ones.
        shutil.copyfileobj(source, target, _CHUNK_BYTES)


def _info(place: Path, path: str) -> ArtifactInfo:
    status = place.stat()
    if stat.S_ISDIR(status.st_mode):
        return ArtifactInfo(path, is_dir=True, size_bytes=None)
    return ArtifactInfo(path, is_dir=False, size_bytes=status.st_size)
