"""All files below a root of artifacts, whoever wrote their names."""

from __future__ import annotations

from collections.abc import Iterator

from flowrun.errors import InvalidValueError
from flowrun.tracking.artifact_paths import check_artifact_path
from flowrun.tracking.artifacts import Artifacts


def files_of(artifacts: Artifacts, path: str = "") -> Iterator[tuple[str, int]]:
    """Give the files below a folder, the root by default, with their sizes in bytes.

    Raises:
        InvalidValueError: a listing names something that no artifact is called, or that does not
            lie in the folder it is a listing of: a storage can be written to by anybody.
    """
    waiting = [path]
    while waiting:
        folder = waiting.pop()
        for info in artifacts.list(folder):
            check_artifact_path(info.path)
            if (folder and not info.path.startswith(f"{folder}/")) or info.path == folder:
                raise InvalidValueError(f"Invalid path '{info.path}': it is not in '{folder}'.")
            if info.is_dir:
                waiting.append(info.path)
            else:
                yield info.path, info.size_bytes or 0
