"""Reads the small text files of a project that describe its environment."""

from __future__ import annotations

from pathlib import Path

from flowrun.errors import Problem, SpecError
from flowrun.spec.project import Mark

MAX_BYTES = 4_000_000
"""Far more than any environment file needs (the largest are uv.lock files)."""


def read_text(file: Path, mark: Mark) -> str:
    """Return the text of a file.

    Args:
        mark: the place that names the file, for the message.

    Raises:
        SpecError: it is not there, no file, not UTF-8, or far too large.
    """
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise _refused(mark, f"{file.name} can't be read: {error.strerror}.") from error
    if len(content) > MAX_BYTES:
        raise _refused(mark, f"{file.name} is larger than {MAX_BYTES:,} bytes.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _refused(mark, f"{file.name} is not UTF-8 text.") from error


def _refused(mark: Mark, text: str) -> SpecError:
    return SpecError([Problem(mark.file, mark.line, mark.column, text)])
