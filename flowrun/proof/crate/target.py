"""Where a crate goes: a folder, or a zip file. Both appear at the end, whole."""

from __future__ import annotations

import hashlib
import itertools
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from flowrun.proof.crate.graph import METADATA
from flowrun.proof.writing import new_file, new_folder
from flowrun.tracking.artifact_paths import check_artifact_path

_SAMPLE_BYTES = 1 << 16
_FIRST_DAY = (1980, 1, 1, 0, 0, 0)
"""The time of each file in a zip: the same run gives the same bytes."""


class CrateTarget(Protocol):
    """Takes the files of a crate, one after the other."""

    def put(self, path: str, chunks: Iterable[bytes]) -> str:
        """Store a file and give its sha256; InvalidValueError for a path that leads out."""


@contextmanager
def open_target(place: Path, *, replace: bool) -> Iterator[CrateTarget]:
    """Open a zip file, if it is called so, or a folder.

    Raises:
        AlreadyExistsError: there is something that is not to be replaced.
    """
    if place.suffix.lower() == ".zip":
        with new_file(place, replace=replace) as file, zipfile.ZipFile(file, "w") as archive:
            yield _Zip(archive)
    else:
        with new_folder(place, replace=replace, mark=METADATA) as folder:
            yield _Folder(folder)


class _Folder:
    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, path: str, chunks: Iterable[bytes]) -> str:
        # The folder is our own and new: no link lies on the way, only the path itself could climb.
        place = self._root / check_artifact_path(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with place.open("xb") as file:
            for chunk in chunks:
                digest.update(chunk)
                file.write(chunk)
        return digest.hexdigest()


class _Zip:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def put(self, path: str, chunks: Iterable[bytes]) -> str:
        entry = zipfile.ZipInfo(check_artifact_path(path), _FIRST_DAY)
        rest = iter(chunks)
        first = next(rest, b"")
        entry.compress_type = _method_for(first)
        entry.external_attr = 0o644 << 16
        digest = hashlib.sha256()
        with self._archive.open(entry, "w", force_zip64=True) as file:
            for chunk in itertools.chain([first], rest):
                digest.update(chunk)
                file.write(chunk)
        return digest.hexdigest()


def _method_for(beginning: bytes) -> int:
    """Choose how a file is kept: to compress what is compressed takes long and gains nothing."""
    sample = beginning[:_SAMPLE_BYTES]
    gains = len(zlib.compress(sample, 1)) < len(sample) * 0.9
    return zipfile.ZIP_DEFLATED if gains else zipfile.ZIP_STORED
