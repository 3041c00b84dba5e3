"""Compares two files or directories, recorded and found."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path

from flowrun.proof.verify.arrays import UnknownArrayError
from flowrun.proof.verify.difference import Difference, Differences, is_ignored, presence
from flowrun.proof.verify.formats import is_packed, is_streamed, reader_of
from flowrun.proof.verify.values import UnreadableError
from flowrun.spec.project import Tolerance

LIMIT_BYTES = 256 << 20
"""Larger files of a format that is read as a whole are compared byte by byte only."""
_SMALL_BYTES = 8 << 20
"""Up to here the place in a file is told."""


@dataclass(slots=True)
class Compared:
    """What came of a comparison."""

    differences: Differences = field(default_factory=Differences)
    notes: list[str] = field(default_factory=list)


def compare_paths(place: str, recorded: Path, found: Path, tolerance: Tolerance) -> Compared:
    """Compare two files or directories by content.

    A file whose bytes are the same is the same. Of one whose bytes are not, the values are compared
    where its format is known: with a tolerance they decide; without one they tell where the
    difference lies.

    Args:
        place: what is compared, as messages name it (`output 'table'`).
        recorded: the one of the recorded run.
        found: the new one.
        tolerance: its `ignore` names files, and keys and columns as `#key` or `file#key`.
    """
    result = Compared()
    if recorded.is_dir() != found.is_dir():
        was, now = ("a directory" if each.is_dir() else "a file" for each in (recorded, found))
        result.differences.add(Difference(place, was, now))
        return result
    if not recorded.is_dir():
        _compare_files(place, recorded.name, recorded, found, tolerance, result)
        return result
    files = tuple(argument for argument in tolerance.ignore if "#" not in argument)
    before, after = _files(recorded), _files(found)
    for name in sorted(before.keys() | after.keys()):
        if is_ignored(name, files) or is_ignored(name.rpartition("/")[2], files):
            continue
        where = f"{place}, file {name}"
        if name not in before or name not in after:
            was, now = ("there" if name in each else "not there" for each in (before, after))
            result.differences.add(Difference(where, was, now))
        else:
            _compare_files(where, name, before[name], after[name], tolerance, result)
    return result


def _compare_files(
    place: str, name: str, recorded: Path, found: Path, tolerance: Tolerance, result: Compared
) -> None:
    digests = _sha256(recorded), _sha256(found)
    if digests[0] == digests[1]:
        return
    short = name.rpartition("/")[2]
    compare = reader_of(short)
    inner = replace(tolerance, ignore=tuple(_keys(name, tolerance.ignore)))
    size_bytes = max(recorded.stat().st_size, found.stat().st_size)
    is_large = size_bytes > LIMIT_BYTES and not is_streamed(short)
    if compare is not None and not is_large:
        count = result.differences.count
        try:
            for each in compare(recorded, found, inner):
                result.differences.add(replace(each, place=f"{place}, {each.place}"))
        except (UnreadableError, UnknownArrayError) as error:
            result.notes.append(f"{place} can't be read by its format ({error}): compared by bytes")
        else:
            is_lenient = inner.rtol or inner.atol or inner.ignore or is_packed(short)
            if result.differences.count == count and not is_lenient:
                was, now = (f"sha256 {each[:12]}..." for each in digests)
                result.differences.add(Difference(f"{place}, same values, other bytes", was, now))
            return
    elif short.endswith(".parquet"):
        result.notes.append(f"{place}: pyarrow is not installed, so Parquet is compared by bytes")
    elif inner.rtol or inner.atol:
        result.notes.append(f"{place}: its format is not known, so it is compared by bytes")
    result.differences.add(_bytes_difference(place, recorded, found, digests))


def _bytes_difference(
    place: str, recorded: Path, found: Path, digests: tuple[str, str]
) -> Difference:
    """Give the first line that differs in texts, else the first byte, size and digest."""
    if max(recorded.stat().st_size, found.stat().st_size) <= _SMALL_BYTES:
        before, after = recorded.read_bytes(), found.read_bytes()
        try:
            old, new = before.decode(), after.decode()
        except UnicodeDecodeError:
            pass
        else:
            if "\0" not in old:
                return _line_difference(place, old, new)
        pairs = enumerate(zip_longest(before, after))
        place = f"{place}, byte {next(offset for offset, (a, b) in pairs if a != b)}"
    was, now = (
        f"{path.stat().st_size} bytes, sha256 {digest[:12]}..."
        for path, digest in zip((recorded, found), digests, strict=True)
    )
    return Difference(place, was, now)


def _line_difference(place: str, recorded: str, found: str) -> Difference:
    lines = zip_longest(recorded.splitlines(keepends=True), found.splitlines(keepends=True))
    number, (old, new) = next(each for each in enumerate(lines, 1) if each[1][0] != each[1][1])
    was, now = (None if each is None else each.rstrip("\n") for each in (old, new))
    if was == now:
        was, now = old, new  # their ends alone differ
    return Difference(f"{place}, line {number}", presence(was), presence(now))


def _keys(name: str, patterns: tuple[str, ...]) -> Iterator[str]:
    """Give what `#key` and `file#key` name in this file."""
    names = (name, name.rpartition("/")[2])
    for pattern in patterns:
        file, hash_sign, key = pattern.partition("#")
        if hash_sign and (not file or any(is_ignored(each, (file,)) for each in names)):
            yield key


def _files(root: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            if path.is_file():
                found[path.relative_to(root).as_posix()] = path
    return found


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
