"""Tables from JSON, cast to the types of a model's signature.

Most requests are numbers for columns of one type: these become one array at once (`Table`), which
nobody has to look at again. All others go the long way, which also knows what is wrong.
Source: MLflow 3.17, mlflow/utils/proto_json_utils.py.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from flowrun.errors import InvalidValueError
from flowrun.models.enforce_values import enforce_value
from flowrun.models.flavors.base import library
from flowrun.models.schema import AnyType, ColumnType, DataType, Schema

_NUMBERS = {
    DataType.integer: "int32",
    DataType.long: "int64",
    DataType.float: "float32",
    DataType.double: "float64",
}
DTYPES = {**_NUMBERS, DataType.boolean: "bool"}
"""Types of a signature that pandas has as they are."""


@dataclass(frozen=True)
class Table:
    """Numbers of one type, one row a sample, with the signature's columns in its order."""

    names: tuple[str | int, ...]
    values: Any
    """An array of numpy: (rows, columns)."""

    def frame(self) -> object:
        """Give it as pandas has it."""
        pandas: Any = library("pandas")
        made: object = pandas.DataFrame(self.values, columns=_index(self.names), copy=False)
        return made


def table_of_split(said: object, schema: Schema | None) -> Table | None:
    """Give the table that `dataframe_split` says; None if it takes the long way."""
    wanted = None if schema is None else _uniform(schema)
    if wanted is None or not isinstance(said, dict) or len(said) != 2 or "data" not in said:
        return None
    names, kind = wanted
    columns = said.get("columns")
    if not isinstance(columns, list):
        return None
    values = _array(said["data"], kind, len(columns))
    if values is None or columns == list(names):
        return None if values is None else Table(names, values)
    if len(set(columns)) < len(columns) or not set(names) <= set(columns):
        return None
    return Table(names, values[:, [columns.index(name) for name in names]])


def table_of_records(said: object, schema: Schema | None) -> Table | None:
    """Give the table that a list of objects says; None if it takes the long way."""
    wanted = None if schema is None else _uniform(schema)
    if wanted is None or not isinstance(said, list) or not said:
        return None
    names, kind = wanted
    try:
        rows = [[row[name] for name in names] for row in said]
    except (KeyError, TypeError, IndexError):
        return None
    values = _array(rows, kind, len(names))
    return None if values is None else Table(names, values)


def frame_of_split(said: object, schema: Schema | None) -> object:
    """Give the frame that `dataframe_split` says.

    Raises:
        InvalidValueError: it says none, or a column does not fit.
    """
    if not isinstance(said, dict):
        raise InvalidValueError(f"Dataframe split format must be a dictionary. Got {_named(said)}.")
    if "data" not in said or not set(said) <= {"columns", "data", "index"}:
        raise InvalidValueError(
            "Dataframe split format must have 'data' field and optionally 'columns' and 'index' "
            f"fields. Got {sorted(map(str, said))}."
        )
    pandas = library("pandas")
    try:
        frame = pandas.DataFrame(
            index=said.get("index"), columns=said.get("columns"), data=said["data"]
        )
    except Exception as error:
        raise _no_frame("split", error) from error
    return _cast(frame, schema)


def frame_of_records(said: object, schema: Schema | None) -> object:
    """Give the frame that `dataframe_records` says.

    Raises:
        InvalidValueError: it says none, or a column does not fit.
    """
    if not isinstance(said, list):
        raise InvalidValueError(
            f"Dataframe records format must be a list of records. Got {_named(said)}."
        )
    pandas = library("pandas")
    try:
        frame = pandas.DataFrame(data=said)
    except Exception as error:
        raise _no_frame("records", error) from error
    return _cast(frame, schema)


@lru_cache(maxsize=4)
def _index(names: tuple[str | int, ...]) -> object:
    """Give the names as pandas has them; to make them takes longer than the frame itself."""
    made: object = library("pandas").Index(names)
    return made


@lru_cache(maxsize=4)
def _uniform(schema: Schema) -> tuple[tuple[str | int, ...], str] | None:
    """Give names and type of columns that are all named numbers of one type."""
    if schema.tensors or not schema.has_names:
        return None
    kinds = {_NUMBERS.get(spec.kind) for spec in schema.columns if isinstance(spec.kind, DataType)}
    are_plain = all(isinstance(spec.kind, DataType) for spec in schema.columns)
    kind = kinds.pop() if len(kinds) == 1 and are_plain else None
    return None if kind is None else (tuple(schema.input_names()), kind)


def _array(rows: object, kind: str, width: int) -> Any:  # noqa: ANN401 - of numpy
    numpy = library("numpy")
    if not isinstance(rows, list):
        return None
    try:
        values = numpy.array(rows, dtype=kind)
    except (ValueError, TypeError, OverflowError):
        return None
    return values if values.ndim == 2 and values.shape[1] == width else None


def _cast(frame: Any, schema: Schema | None) -> object:  # noqa: ANN401 - of pandas
    if schema is None:
        return frame
    for name, kind, required in _wanted(frame.columns.tolist(), schema):
        if name not in frame:
            continue
        try:
            frame[name] = _cast_column(frame[name], kind, str(name), required=required)
        except Exception as error:
            shown = kind.value if isinstance(kind, DataType) else kind
            raise InvalidValueError(
                "Data is not compatible with model signature. Failed to convert column "
                f"{name} to type '{shown}'. Error: '{error!r}'"
            ) from error
    return frame


def _wanted(
    columns: Sequence[str | int], schema: Schema
) -> list[tuple[str | int, ColumnType | str, bool]]:
    """Give for each column that the schema speaks of its name, type, and whether it is required."""
    if schema.tensors:
        if schema.has_names:
            return [(t.name, t.type, True) for t in schema.tensors if t.name is not None]
        return [(name, schema.tensors[0].type, True) for name in columns]
    if schema.has_names:
        return [(c.name, c.kind, c.required) for c in schema.columns if c.name is not None]
    return [(name, c.kind, c.required) for name, c in zip(columns, schema.columns)]


def _cast_column(
    column: Any,  # noqa: ANN401 - of pandas
    kind: ColumnType | str,
    name: str,
    *,
    required: bool,
) -> object:
    if isinstance(kind, str):  # of a tensor
        if len(column) and isinstance(column.iloc[0], list):
            return column  # `enforce` makes arrays of them
        return column if kind == "str" else column.astype(kind)
    if kind is DataType.binary:
        return column.map(lambda item: base64.decodebytes(bytes(item, "utf8")))
    if kind is DataType.datetime:
        dates: Any = library("pandas").to_datetime(column)
        return dates.astype("datetime64[ns]") if dates.dtype.kind == "M" else dates
    if kind is DataType.string:
        return column if column.dtype.name == "str" else column.astype("object")
    if isinstance(kind, DataType):
        return column.astype(DTYPES[kind])
    if isinstance(kind, AnyType):
        return column
    return column.map(lambda item: enforce_value(item, kind, required=required, where=name))


def _named(said: object) -> str:
    if isinstance(said, (dict, list)):
        return "dictionary" if isinstance(said, dict) else "list"
    return f"type {type(said)}"


def _no_frame(form: str, error: Exception) -> InvalidValueError:
    return InvalidValueError(
        f"Provided dataframe_{form} field is not a valid dataframe representation in '{form}' "
        f"format. Error: '{error}'"
    )
