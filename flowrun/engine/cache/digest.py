"""Digests of files and directories: what identifies an input or an output.

A file's digest is the sha256 of its bytes. A directory's is the sha256 of a list with one line for
each file below it, ordered by path: kind, digest and path. Names and contents count; times, owners
and empty folders do not. A symbolic link is what it leads to, as for whoever reads it and for the
copy that artifacts keep; one that leads nowhere or in a circle counts by what it says.
"""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from flowrun.errors import CancelledError
from flowrun.valueclass import valueclass

_CHUNK_BYTES = 1 << 20
_FILES_PER_THREAD = 2
"""With fewer files for each, starting the threads takes as long as they save."""


@valueclass
class Digest:
    """A content's digest with its size."""

    sha256: str
    """64 hex digits."""
    size_bytes: int
    is_directory: bool


@valueclass
class Below:
    """Something below a directory that is no directory."""

    path: Path
    shown: str
    """Relative to the directory."""
    is_file: bool
    says: str = ""
    """Where a link says that it leads, if that is nowhere or in a circle."""


def digest_of(path: Path, of_file: Callable[[Path], Digest] | None = None) -> Digest:
    """Digest a file or a directory. Raises OSError, also for a thing that is neither.

    Args:
        path: what is meant.
        of_file: digests the files of a directory, on as many threads as there are processors.
    """
    return _digest_directory(path, of_file or file_digest) if path.is_dir() else file_digest(path)


def file_digest(path: Path, is_cancelled: Callable[[], bool] | None = None) -> Digest:
    """Digest a file.

    Args:
        path: what is meant.
        is_cancelled: asked while a large file is read.

    Raises:
        OSError: it can't be read. CancelledError: `is_cancelled` said yes.
    """
    # Looked at before it is opened: to open a pipe is to wait for whoever writes to it.
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "is neither a file nor a directory", str(path))
    digest, size_bytes = hashlib.sha256(), 0
    with path.open("rb", buffering=0) as file:
        chunk = bytearray(min(_CHUNK_BYTES, os.fstat(file.fileno()).st_size + 1))
        view = memoryview(chunk)
        while read := file.readinto(chunk):
            digest.update(view[:read])
            size_bytes += read
            if is_cancelled is not None and is_cancelled():
                raise CancelledError(f"cancelled while {path} was read")
    return Digest(digest.hexdigest(), size_bytes, is_directory=False)


def files_below(root: Path) -> Iterator[Below]:
    """Give everything below a directory but directories, in no order. Raises OSError."""
    waiting = [(root, "", frozenset({os.path.realpath(root)}))]
    while waiting:
        folder, prefix, above = waiting.pop()
        for entry in os.scandir(folder):
            place, shown = Path(entry.path), prefix + entry.name
            if place.is_dir() and (inside := os.path.realpath(place)) not in above:
                waiting.append((place, f"{shown}/", above | {inside}))
            elif place.is_file():
                yield Below(place, shown, is_file=True)
            else:
                says = os.readlink(place) if entry.is_symlink() else ""  # noqa: PTH115 - as it is
                yield Below(place, shown, is_file=False, says=says)


def _digest_directory(root: Path, of_file: Callable[[Path], Digest]) -> Digest:
    below = list(files_below(root))
    contents = _digests([each.path for each in below if each.is_file], of_file)
    lines: list[tuple[str, str]] = []
    for each in below:
        if each.is_file:
            lines.append((each.shown, f"file {contents[each.path].sha256} {each.shown}"))
        else:
            says = hashlib.sha256(os.fsencode(each.says)).hexdigest()
            lines.append((each.shown, f"other {says} {each.shown}"))
    size_bytes = sum(content.size_bytes for content in contents.values())
    return Digest(_digest_lines(lines), size_bytes, is_directory=True)


def directory_sha256(files: Mapping[str, str]) -> str:
    """Give the digest of a directory that holds files of these paths and digests, and no more."""
    return _digest_lines([(path, f"file {sha256} {path}") for path, sha256 in files.items()])


def _digest_lines(lines: Sequence[tuple[str, str]]) -> str:
    """Digest lines in the order of the paths they are for."""
    # Ended by NUL, which no name can hold, as a name may hold what looks like the next line.
    listed = "\0".join(["directory/1", *(line for _, line in sorted(lines))])
    return hashlib.sha256(os.fsencode(listed)).hexdigest()


def _digests(paths: Sequence[Path], of_file: Callable[[Path], Digest]) -> dict[Path, Digest]:
    """Digest files side by side: hashing and reading both let other threads go on."""
    digests: dict[Path, Digest] = {}
    errors: list[OSError | CancelledError] = []
    left = iter(paths)
    next_one = threading.Lock()

    def work() -> None:
        while not errors:
            with next_one:
                path = next(left, None)
            if path is None:
                return
            try:
                digests[path] = of_file(path)
            except (OSError, CancelledError) as error:
                errors.append(error)

    helpers = min(os.cpu_count() or 1, len(paths) // _FILES_PER_THREAD)
    threads = [threading.Thread(target=work, name="flowrun-digest") for _ in range(helpers)]
    for thread in threads:
        thread.start()
    work()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return digests
