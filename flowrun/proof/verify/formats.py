"""Compares files value by value, where their format is known: JSON, CSV, Parquet, MLmodel."""

from __future__ import annotations

import csv
import importlib
import importlib.util
import json
from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import TypeAlias

from flowrun.errors import InvalidValueError, NotFoundError
from flowrun.models.mlmodel import read_mlmodel
from flowrun.proof.verify.archives import compare_archive, compare_skops
from flowrun.proof.verify.arrays import compare_npy, compare_npz
from flowrun.proof.verify.difference import (
    Difference,
    is_ignored,
    presence,
    text_differences,
)
from flowrun.proof.verify.values import UnreadableError, compare_values
from flowrun.spec.project import Tolerance

Compare: TypeAlias = Callable[[Path, Path, Tolerance], Iterator[Difference]]
"""Recorded and found file, and a tolerance whose `ignore` names keys or columns."""

VOLATILE_IN_MLMODEL = (
    "artifact_path",
    "model_id",
    "model_uuid",
    "registered_model_meta",
    "run_id",
    "utc_time_created",
)
"""What tells one logging of a model from another, not one model from another."""
MAX_CELL_BYTES = 1 << 27


def reader_of(name: str) -> Compare | None:
    """Give what compares files of this name value by value; None for a format that is not known."""
    if name == "MLmodel":
        return compare_mlmodel
    suffix = name.rpartition(".")[2].lower() if "." in name else ""
    if suffix == "parquet" and importlib.util.find_spec("pyarrow") is None:
        return None
    return _BY_SUFFIX.get(suffix)


def is_packed(name: str) -> bool:
    """Whether files of this name hold times or ids that say nothing of their content."""
    return name == "MLmodel" or name.rpartition(".")[2].lower() in _PACKED


def is_streamed(name: str) -> bool:
    """Whether files of this name are compared piece by piece, however large they are."""
    return name.rpartition(".")[2].lower() in _STREAMED


def compare_json(recorded: Path, found: Path, tolerance: Tolerance) -> Iterator[Difference]:
    """Compare two JSON files; places are `a.b[3]`."""
    yield from compare_values("", _json(recorded), _json(found), tolerance)


def compare_json_lines(recorded: Path, found: Path, tolerance: Tolerance) -> Iterator[Difference]:
    """Compare two files with a JSON value on each line."""
    with recorded.open(encoding="utf-8") as before, found.open(encoding="utf-8") as after:
        lines = zip_longest(before, after)
        for number, (old, new) in enumerate(_decoded(lines), start=1):
            if old is None or new is None:
                yield Difference(f"line {number}", presence(old), presence(new))
                return
            place = f"line {number}"
            if old != new:
                pair = _parsed(old, place), _parsed(new, place)
                for each in compare_values("", *pair, tolerance):
                    yield _inside(place, each)


def compare_mlmodel(recorded: Path, found: Path, tolerance: Tolerance) -> Iterator[Difference]:
    """Compare two MLmodel files, but for what tells one logging of a model from another."""
    yield from compare_values("", _mlmodel(recorded), _mlmodel(found), tolerance)


def compare_table(
    recorded: Path, found: Path, tolerance: Tolerance, delimiter: str = ","
) -> Iterator[Difference]:
    """Compare two CSV files; the first row names the columns."""
    csv.field_size_limit(MAX_CELL_BYTES)
    with (
        recorded.open(encoding="utf-8", newline="") as before,
        found.open(encoding="utf-8", newline="") as after,
    ):
        rows = zip_longest(
            csv.reader(before, delimiter=delimiter), csv.reader(after, delimiter=delimiter)
        )
        header: list[str] = []
        for number, (old, new) in enumerate(_decoded(rows)):
            if old is None or new is None:
                yield Difference(f"row {number}", presence(old), presence(new))
                return
            if number == 0:
                header = old
            if old != new:
                yield from _row(number, header, old, new, tolerance)


def compare_parquet(recorded: Path, found: Path, tolerance: Tolerance) -> Iterator[Difference]:
    """Compare two Parquet files with pyarrow."""
    pyarrow = importlib.import_module("pyarrow")
    parquet = importlib.import_module("pyarrow.parquet")
    try:
        before, after = parquet.read_table(recorded), parquet.read_table(found)
    except (OSError, pyarrow.ArrowException) as error:
        raise UnreadableError(str(error)) from error
    if before.num_rows != after.num_rows:
        yield Difference("rows", str(before.num_rows), str(after.num_rows))
        return
    names = list(dict.fromkeys([*before.column_names, *after.column_names]))
    for name in names:
        if is_ignored(name, tolerance.ignore):
            continue
        where = f"column '{name}'"
        if name not in before.column_names or name not in after.column_names:
            was, now = (name in table.column_names for table in (before, after))
            yield Difference(where, _word(is_there=was), _word(is_there=now))
            continue
        if before[name].equals(after[name]):
            continue
        pairs = zip(before[name].to_pylist(), after[name].to_pylist(), strict=True)
        for row, (old, new) in enumerate(pairs, start=1):
            for each in compare_values("", old, new, tolerance):
                yield _inside(f"row {row}, {where}", each)


def _row(
    number: int, header: list[str], old: list[str], new: list[str], tolerance: Tolerance
) -> Iterator[Difference]:
    for place, (was, now) in enumerate(zip_longest(old, new)):
        name = header[place] if place < len(header) else str(place + 1)
        if is_ignored(name, tolerance.ignore):
            continue
        where = f"column {place + 1}" if number == 0 else f"row {number}, column '{name}'"
        if was is None or now is None:
            yield Difference(where, presence(was), presence(now))
        else:
            yield from text_differences(where, was, now, tolerance)


def _json(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UnreadableError(str(error)) from error


def _parsed(line: str, place: str) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"{place}: {error}") from error


def _mlmodel(path: Path) -> dict[str, object]:
    try:
        raw = read_mlmodel(path.parent).raw
    except (InvalidValueError, NotFoundError) as error:
        raise UnreadableError(error.message) from error
    return {key: value for key, value in raw.items() if key not in VOLATILE_IN_MLMODEL}


def _decoded(rows: Iterator[tuple[object, object]]) -> Iterator[tuple]:  # type: ignore[type-arg]
    try:
        yield from rows
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnreadableError(str(error)) from error


def _inside(place: str, difference: Difference) -> Difference:
    inner = "" if difference.place == "value" else f", {difference.place}"
    return Difference(f"{place}{inner}", difference.recorded, difference.found, difference.delta)


def _word(*, is_there: bool) -> str:
    return "there" if is_there else "not there"


def _tabs(recorded: Path, found: Path, tolerance: Tolerance) -> Iterator[Difference]:
    return compare_table(recorded, found, tolerance, "\t")


_PACKED = frozenset({"keras", "npz", "skops", "zip"})
_STREAMED = frozenset({"csv", "jsonl", "ndjson", "npy", "tsv"}) | _PACKED
_BY_SUFFIX: dict[str, Compare] = {
    "csv": compare_table,
    "keras": compare_archive,
    "json": compare_json,
    "jsonl": compare_json_lines,
    "ndjson": compare_json_lines,
    "npy": compare_npy,
    "npz": compare_npz,
    "parquet": compare_parquet,
    "skops": compare_skops,
    "tsv": _tabs,
    "zip": compare_archive,
}
