"""Copies artifacts, file by file; a file that is there with its size is not copied again."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

from flowrun.tracking.artifact_files import files_of
from flowrun.tracking.artifacts import Artifacts


def copy_missing(source: Artifacts, target: Artifacts) -> int:
    """Copy what is not there yet; give how many files that were.

    Stores put a file in its place when it is whole, so one of the same size is the same file.
    """
    present = dict(files_of(target))
    copied = 0
    for path, size_bytes in files_of(source):
        if present.get(path) != size_bytes:
            _copy(source, target, path)
            copied += 1
    return copied


def links_that_lead_out(artifacts: Artifacts) -> list[Path]:
    """Give the links below a local root that lead out of it or nowhere: these are not copied."""
    if not artifacts.exists(""):
        return []
    top = artifacts.local_path("")
    if top is None:
        return []
    root = top.resolve()
    return [
        Path(folder) / name
        for folder, folders, files in os.walk(root)
        for name in (*folders, *files)
        if (place := Path(folder) / name).is_symlink()
        and not (place.exists() and place.resolve().is_relative_to(root))
    ]


def _copy(source: Artifacts, target: Artifacts, path: str) -> None:
    local = source.local_path(path)
    if local is not None:
        target.put_file(local, path)
        return
    with closing(source.open(path)) as stream:
        target.put_stream(path, stream)
