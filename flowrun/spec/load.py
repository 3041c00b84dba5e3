"""Finds and reads a project's file: the only I/O in this package."""

from __future__ import annotations

from pathlib import Path

from flowrun.errors import Problem, SpecError
from flowrun.spec.parse import IMPLIED_ENV, parse_project
from flowrun.spec.project import Project

LOCK_FILE = "MLproject.lock"
"""Lies beside the project file."""
MAX_BYTES = 8 * 1024 * 1024
"""Of a project file: some 50,000 steps."""


def find_project_file(directory: Path) -> Path | None:
    """Return the project file of a directory: `MLproject`, in whatever case, without extension.

    Where several differ in case only, `MLproject` itself wins, then the first by name; MLflow
    takes what the file system happens to list first.
    """
    found = [
        path for path in directory.iterdir() if path.name.lower() == "mlproject" and path.is_file()
    ]
    return min(found, key=lambda path: (path.name != "MLproject", path.name), default=None)


def load_project(directory: Path, *, strict: bool = False, label: str | None = None) -> Project:
    """Return the project in a directory; without a file, one that has no entry points.

    Args:
        strict: see `parse_project`.
        label: stands before line and column in messages, instead of the file's name.

    Raises:
        SpecError: all mistakes of the file.
    """
    path = find_project_file(directory)
    if path is None:
        return Project(None, {}, IMPLIED_ENV, None)
    file = label or path.name
    with path.open("rb") as stream:
        data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise SpecError([Problem(file, 1, 1, f"the file is larger than {MAX_BYTES:,} bytes")])
    return parse_project(_decoded(data, file), file, strict=strict)


def _decoded(data: bytes, file: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        column = len(before) - before.rfind(b"\n")
        text = f"the byte 0x{data[error.start]:02x} is not UTF-8"
        raise SpecError([Problem(file, line, column, text)]) from error
