"""Reads the file that `--params-file` names, and puts what the command line says over it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

from flowrun.errors import UsageError
from flowrun.spec.params_file import MAX_BYTES, parse_params
from flowrun.spec.project import Mark
from flowrun.valueclass import valueclass

PARAMS_FILE_TAG = "flowrun.params_file"
"""On the runs of which it gave parameters: its path as it was named, and its sha256."""


@valueclass
class GivenParams:
    """The parameters that were asked for."""

    texts: Mapping[str, str]
    marks: Mapping[str, Mark] = field(default_factory=dict)
    """Where those stand that come from a file."""
    tags: Mapping[str, str] = field(default_factory=dict)


def given_params(texts: Mapping[str, str], file: Path | None, cwd: Path) -> GivenParams:
    """Give the parameters of the command line, and those of a file that it does not have.

    Args:
        texts: of the command line.
        file: YAML or JSON; None for none.
        cwd: what a relative path starts from.

    Raises:
        UsageError: it can't be read. SpecError: it has mistakes.
    """
    if file is None:
        return GivenParams(texts)
    text = read_text(file, cwd, "--params-file")
    read = parse_params(text, str(file))
    marks = {name: mark for name, mark in read.marks.items() if name not in texts}
    tag = f"{file} sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    return GivenParams({**read.texts, **texts}, marks, {PARAMS_FILE_TAG: tag})


def read_text(file: Path, cwd: Path, flag: str) -> str:
    """Read a file that a flag names.

    Args:
        cwd: what a relative path starts from.
        flag: for messages.

    Raises:
        UsageError: it can't be read, is too large, or no text.
    """
    try:
        with (cwd / file).open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
        text = content.decode()
    except OSError as error:
        raise UsageError(f"{flag} {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{flag} {file}: it is no text in UTF-8") from error
    if len(content) > MAX_BYTES:
        raise UsageError(f"{flag} {file}: it is larger than {MAX_BYTES:,} bytes")
    return text
