"""The data of an evaluation: from what users hand over to features, truth and predictions.

Source: MLflow 3.17, mlflow/models/evaluation/base.py and mlflow/data/evaluation_dataset.py.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flowrun.errors import InvalidValueError, NotFoundError
from flowrun.models.arrays import Frame, Items, is_array, is_column, is_frame
from flowrun.models.evaluation.libraries import needed
from flowrun.models.evaluation.samples import as_array

DATASET = "dataset"
"""MLflow's name of data that has none."""
_SHOWN_COLUMNS = 20


@dataclass(frozen=True)
class EvaluationData:
    """Rows to ask a model about."""

    features: object
    """What the model gets: a frame, or the array that was given."""
    frame: Frame
    """All columns there are, with truth, prediction and weight."""
    target: Items | None
    target_name: str
    predictions: Items | None
    """What was said already, where there is no model to ask."""
    weights: Items | None
    name: str = DATASET
    """What the data is called in the record."""


def read_data(
    data: object,
    targets: object,
    predictions: str | None,
    weights: object,
    feature_names: Sequence[str] | None = None,
    *,
    has_model: bool,
) -> EvaluationData:
    """Take data apart.

    Args:
        data: a frame, an array, a list of rows or maps, a file, or a dataset of MLflow's.
        targets: the column of what is true; for an array, the values themselves.
        predictions: the column of what was predicted, if no model is asked.
        weights: a column, or a number a row.
        feature_names: of an array: its columns; of a frame: which ones the model sees.
        has_model: whether a model will be asked; else `predictions` must be there.

    Raises:
        InvalidValueError: a column is not there, lengths differ, or there are no rows.
    """
    called = _name(data)
    data, targets, predictions = _of_dataset(data, targets, predictions)
    if data is None:
        raise InvalidValueError("The data argument cannot be None.")
    frame, is_given = _frame(data, feature_names)
    if len(frame) == 0:
        raise InvalidValueError("the data has no rows: there is nothing to evaluate")
    _refuse_twins(frame)
    columns = frame.columns.tolist()
    taken: list[object] = []

    def column(value: object, what: str) -> Items | None:
        if value is None:
            return None
        if isinstance(value, (str, int)):
            if value not in columns:
                raise _no_column(str(value), what, list(map(str, columns)))
            taken.append(value)
            return as_array(frame[value])
        array = as_array(value)
        if len(array) != len(frame):
            raise InvalidValueError(f"{what}: {len(array)} values for {len(frame)} rows")
        return array

    target = column(targets, "targets")
    said = None if has_model else column(predictions, "predictions")
    weighed = column(weights, "weights")
    rest = _without(frame, taken) if taken else frame
    is_chosen = is_given and feature_names is not None
    features: object = _chosen(rest, feature_names) if is_chosen and feature_names else rest
    if is_array(data) and not taken and feature_names is None:
        features = data
    name = str(targets) if isinstance(targets, (str, int)) else "target"
    weights = None if weighed is None else _weights(weighed)
    return EvaluationData(features, frame, target, name, said, weights, called)


def read_file(path: Path) -> Frame:
    """Read a table: CSV, Parquet, JSON (a list of maps, or as pandas' `split`) or JSON lines.

    Raises:
        NotFoundError: there is no such file. InvalidValueError: it is none of these.
    """
    pandas = needed("pandas")
    if path.is_dir():
        files = _files_in(path)
        if len(files) != 1:
            raise InvalidValueError(f"{path} holds {len(files)} files; the data is one file")
        path = files[0]
    if not path.is_file():
        raise NotFoundError(f"there is no file {path}")
    suffix = path.suffix.lower()
    try:
        if suffix in (".csv", ".tsv", ".txt", ".gz"):
            frame: Frame = pandas.read_csv(path, sep="\t" if suffix == ".tsv" else ",")
        elif suffix in (".parquet", ".pq"):
            needed("pyarrow")
            frame = pandas.read_parquet(path)
        elif suffix in (".jsonl", ".ndjson"):
            frame = pandas.read_json(path, lines=True)
        elif suffix == ".json":
            frame = _read_json(path)
        else:
            raise InvalidValueError(
                f"{path.name}: data is read from .csv, .tsv, .parquet, .json and .jsonl files"
            )
    except (ValueError, OSError) as error:
        raise InvalidValueError(f"{path.name} can't be read: {error}") from error
    return frame


def _files_in(folder: Path) -> list[Path]:
    return sorted(each for each in folder.iterdir() if each.is_file())


def _name(data: object) -> str:
    """Give the name that data brings along: of its file, or of MLflow's dataset."""
    if isinstance(data, (str, os.PathLike)):
        path = Path(data)
        files = _files_in(path) if path.is_dir() else []
        return (files[0] if len(files) == 1 else path).name or DATASET
    name = None if is_frame(data) or is_column(data) else getattr(data, "name", None)
    return name if isinstance(name, str) and name else DATASET


def _read_json(path: Path) -> Frame:
    pandas = needed("pandas")
    text = path.read_text(encoding="utf-8")
    is_split = text.lstrip().startswith("{") and '"columns"' in text
    frame: Frame = pandas.read_json(path, orient="split" if is_split else None)
    return frame


def check_column(frame: Frame, name: str, what: str) -> None:
    """Raise InvalidValueError if a frame has no such column; `what` says what it is for."""
    columns = [str(each) for each in frame.columns.tolist()]
    if name not in columns:
        raise _no_column(name, what, columns)


def _of_dataset(
    data: object, targets: object, predictions: str | None
) -> tuple[object, object, str | None]:
    """Take a dataset of MLflow's apart, by what it has: it may be of any of their classes."""
    frame, features = getattr(data, "df", None), getattr(data, "features", None)
    if is_frame(frame):
        inner = frame
    elif features is not None and not is_frame(data) and not isinstance(data, Mapping):
        inner = features
    else:
        return data, targets, predictions
    if targets is not None:
        raise InvalidValueError(
            "The top-level targets parameter should not be specified since a Dataset is used. "
            "Please only specify the targets column name in the Dataset."
        )
    own: Any = data
    named = getattr(own, "predictions", None)
    return inner, getattr(own, "targets", None), predictions if named is None else str(named)


def _frame(data: object, names: Sequence[str] | None) -> tuple[Frame, bool]:
    """Give data as a frame, and whether its columns have names of their own."""
    if is_frame(data):
        return data, True
    pandas = needed("pandas")
    if isinstance(data, (str, os.PathLike)):
        return read_file(Path(data)), True
    if is_column(data):
        own: Any = data
        frame: Frame = own.to_frame()
        return frame, True
    if isinstance(data, Mapping):
        frame = pandas.DataFrame(dict(data))
        return frame, True
    if isinstance(data, Sequence) and data and all(isinstance(row, Mapping) for row in data):
        frame = pandas.DataFrame(list(data))
        return frame, True
    if not is_array(data) and not isinstance(data, Sequence):
        raise InvalidValueError(
            f"data is a {type(data).__name__}; it can be a DataFrame, an array, a list of rows or "
            "of maps, a file, or a dataset"
        )
    numpy = needed("numpy")
    array = numpy.asarray(data)
    if array.ndim > 2:
        array = array.reshape(len(array), -1)
    frame = pandas.DataFrame(array)
    if names is not None and len(names) != len(frame.columns):
        raise InvalidValueError(
            f"feature_names has {len(names)} names for {len(frame.columns)} columns"
        )
    width = len(str(len(frame.columns)))
    given = names or [f"feature_{place + 1:0{width}d}" for place in range(len(frame.columns))]
    return _renamed(frame, given), False


def _renamed(frame: Frame, names: Sequence[str]) -> Frame:
    own: Any = frame
    own.columns = list(names)
    return frame


def _refuse_twins(frame: Frame) -> None:
    seen: set[object] = set()
    for name in frame.columns.tolist():
        if name in seen:
            raise InvalidValueError(f"the data has two columns '{name}'; rename one of them")
        seen.add(name)


def _without(frame: Frame, names: Sequence[object]) -> Frame:
    own: Any = frame
    rest: Frame = own.drop(columns=list(dict.fromkeys(names)))
    return rest


def _chosen(frame: Frame, names: Sequence[str]) -> Frame:
    for name in names:
        check_column(frame, name, "feature_names")
    own: Any = frame
    chosen: Frame = own[list(names)]
    return chosen


def _weights(array: Items) -> Items:
    numpy = needed("numpy")
    try:
        weights = numpy.asarray(array, dtype="float64")
    except (TypeError, ValueError):
        raise InvalidValueError("weights must be numbers") from None
    if not numpy.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise InvalidValueError("weights must be finite, none negative, and not all of them zero")
    found: Items = weights
    return found


def _no_column(name: str, what: str, columns: Sequence[str]) -> InvalidValueError:
    shown = ", ".join(columns[:_SHOWN_COLUMNS])
    more = len(columns) - _SHOWN_COLUMNS
    rest = f" and {more} more" if more > 0 else ""
    return InvalidValueError(f"{what}: the data has no column '{name}'; it has {shown}{rest}")
