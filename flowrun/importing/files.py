"""Reads the small files of MLflow's file store: mappings, values, lines of points.

Links are not followed: a store is a folder that anybody may have packed, and what lies outside of
it is not meant. An error says the file, and the line where there is one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import yaml

from flowrun.errors import InvalidValueError
from flowrun.importing.convert import number
from flowrun.tracking.entities import Metric
from flowrun.tracking.sql.points import stored_value

META = "meta.yaml"

_MAX_META_BYTES = 20_000_000
"""A dataset's profile is at most 16 MB."""

_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MIN_FIELDS, _STEP_FIELD = 2, 2


def read_meta(folder: Path) -> Mapping[str, object]:
    """Give what the `meta.yaml` of a folder says."""
    path = folder / META
    content = read_value(path, _MAX_META_BYTES)
    try:
        if any(isinstance(each, yaml.AliasEvent) for each in yaml.parse(content, _LOADER)):
            # MLflow writes none, and a few of them can stand for gigabytes.
            raise InvalidValueError(f"{path}: YAML aliases are not allowed")
        meta: object = yaml.load(content, _LOADER)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise InvalidValueError(f"{path}{line}: not YAML: {_problem(error)}") from error
    except (RecursionError, ValueError) as error:
        raise InvalidValueError(f"{path}: not YAML: {error}") from error
    if not isinstance(meta, dict):
        found = "nothing" if meta is None else type(meta).__name__
        raise InvalidValueError(f"{path}: a mapping is expected, not {found}")
    return meta


def read_value(path: Path, max_bytes: int | None = None) -> str:
    """Give the whole text of a file."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            if max_bytes is not None and os.fstat(file.fileno()).st_size > max_bytes:
                raise InvalidValueError(f"{path}: larger than {max_bytes} bytes")
            return file.read().decode()
    except UnicodeDecodeError as error:
        raise InvalidValueError(f"{path}: not UTF-8 text (byte {error.start})") from error
    except OSError as error:
        reason = "it is a link" if path.is_symlink() else error.strerror
        raise InvalidValueError(f"{path}: {reason}") from error


def read_values(folder: Path) -> dict[str, str]:
    """Give the files below a folder as keys and values; a key may have slashes."""
    return {key: read_value(path) for key, path in files_below(folder)}


def files_below(folder: Path) -> Iterator[tuple[str, Path]]:
    """Give the files below a folder with their paths in it, in order; nothing if it is absent."""
    for entry in entries(folder):
        if entry.is_dir(follow_symlinks=False):
            for key, path in files_below(Path(entry.path)):
                yield f"{entry.name}/{key}", path
        else:
            yield entry.name, Path(entry.path)


def folders_in(folder: Path) -> list[Path]:
    """Give the folders in a folder, in order; nothing if it is absent."""
    return [Path(entry.path) for entry in entries(folder) if entry.is_dir(follow_symlinks=False)]


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """Give what is in a folder, in order; nothing if it is absent."""
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InvalidValueError(f"{folder}: {error.strerror}") from error


def read_points(
    key: str, path: Path, point: Callable[[str, list[str]], Metric] | None = None
) -> Iterator[Metric]:
    """Give the points of a metric's file, each once, in the order they were logged.

    Args:
        key: the metric's name.
        path: a line for each point: time, value, step, and what else MLflow appended.
        point: makes a point of a line's fields.
    """
    make = point or run_point
    seen: set[tuple[object, ...]] = set()
    for count, line in enumerate(read_value(path).splitlines(), start=1):
        fields = line.split(" ")
        try:
            if len(fields) < _MIN_FIELDS:
                raise ValueError(f"{len(fields)} fields")
            metric = make(key, fields)
        except (ValueError, InvalidValueError):
            raise InvalidValueError(
                f"{path}:{count}: {line[:80]!r} is no point of a metric: "
                "time, value and step are expected"
            ) from None
        # As it will be kept: there a nan equals a nan, and an infinite value is the largest number.
        same = (metric.timestamp_ms, metric.step, metric.run_id, *stored_value(metric.value))
        if same not in seen:
            seen.add(same)
            yield metric


def run_point(key: str, fields: list[str]) -> Metric:
    """Give the point of a run: `time value [step [dataset digest]]`."""
    step = number(fields[_STEP_FIELD]) if len(fields) > _STEP_FIELD else 0
    return Metric(key, float(fields[1]), number(fields[0]), step)


def model_point(key: str, fields: list[str]) -> Metric:
    """Give the point of a logged model: `time value step run [dataset digest]`."""
    time, value, step, run_id, *dataset = fields
    name, digest = (" ".join(dataset[:-1]), dataset[-1]) if dataset else (None, None)
    return Metric(
        key,
        float(value),
        number(time),
        number(step),
        run_id=run_id,
        dataset_name=name,
        dataset_digest=digest,
    )


def _problem(error: yaml.YAMLError) -> str:
    return str(getattr(error, "problem", None) or error)
