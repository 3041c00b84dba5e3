"""Data for a prediction, checked against the model's signature, and converted where that is safe.

Source: MLflow 3.17, mlflow/models/utils.py: what it converts is converted, what it refuses is
refused, in its words.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from flowrun.errors import InvalidValueError
from flowrun.models.arrays import (
    Column,
    Frame,
    is_array,
    is_column,
    is_frame,
    is_missing,
    is_scalar,
)
from flowrun.models.enforce_tensors import check_names, enforce_tensors
from flowrun.models.enforce_values import enforce_value
from flowrun.models.schema import (
    Array,
    ColSpec,
    DataType,
    Object,
    Schema,
)

_NUMPY = {
    DataType.boolean: "bool",
    DataType.integer: "int32",
    DataType.long: "int64",
    DataType.float: "float32",
    DataType.double: "float64",
    DataType.string: "str",
    DataType.binary: "bytes",
    DataType.datetime: "datetime64[ns]",
}
_SIZES = {"int32": 4, "int64": 8, "float32": 4, "float64": 8}


def enforce_schema(data: object, schema: Schema) -> object:
    """Give data as a model takes it.

    Args:
        data: a frame, an array, a mapping, a list or one value.
        schema: of the model's inputs.

    Raises:
        InvalidValueError: it does not fit; names the column.
    """
    if schema.tensors:
        return enforce_tensors(data, schema)
    frame = _frame(data, schema)
    if not schema.has_names:
        missing = len(schema.columns) - len(frame.columns)
        if missing > 0:
            raise InvalidValueError(
                "Model inference is missing inputs. The model signature declares "
                f"{len(schema)} inputs  but the provided value only has {len(frame.columns)} "
                "inputs. Note: the inputs were not named in the signature so we can only verify "
                "their count."
            )
        pairs = list(zip(frame.columns.tolist(), schema.columns))
    else:
        check_names(frame.columns.tolist(), schema)
        present = set(frame.columns.tolist())
        pairs = [(spec.name, spec) for spec in schema.columns if spec.name in present]
    return _converted(frame, pairs)


def _frame(data: object, schema: Schema) -> Frame:
    if is_frame(data):
        return data
    pandas = importlib.import_module("pandas")
    try:
        frame: Frame = pandas.DataFrame(_rows(data, schema))
    except (ValueError, TypeError) as error:
        raise InvalidValueError(
            "This model contains a column-based signature, which suggests a DataFrame input. "
            f"There was an error casting the input data to a DataFrame: {error}"
        ) from error
    return frame


def _rows(data: object, schema: Schema) -> object:
    if is_scalar(data):
        return [data]
    if isinstance(data, Mapping):
        is_nested = any(isinstance(spec.kind, (Array, Object)) for spec in schema.columns)
        is_row = all(
            is_scalar(value)
            or value is None
            or (isinstance(value, list) and all(isinstance(item, str) for item in value))
            for value in data.values()
        )
        return [data] if is_nested or is_row else data
    if is_column(data) or is_array(data) or isinstance(data, list):
        return data
    raise InvalidValueError(f"Expected input to be DataFrame. Found: {type(data).__name__}")


def _converted(frame: Frame, pairs: list[tuple[object, ColSpec]]) -> object:
    """Give the columns of the schema, in its order; the same frame if all is well already."""
    columns = {name: _column(name, frame[name], spec) for name, spec in pairs}
    names = [name for name, _ in pairs]
    is_same = names == frame.columns.tolist()
    if is_same and all(columns[name] is None for name in names):
        return frame
    pandas = importlib.import_module("pandas")
    filled = {name: frame[name] if new is None else new for name, new in columns.items()}
    result: object = pandas.DataFrame(filled, index=frame.index, columns=names)
    return result


def _column(name: object, column: Column, spec: ColSpec) -> object:
    """Give a column as its type wants it; None if it is so already."""
    kind = spec.kind
    if not isinstance(kind, DataType):
        pandas = importlib.import_module("pandas")
        values = [
            enforce_value(item, kind, required=spec.required, where=str(name))
            for item in column.tolist()
        ]
        made: object = pandas.Series(values, index=getattr(column, "index", None), dtype=object)
        return made
    wanted, dtype = _NUMPY[kind], column.dtype
    if dtype.name == wanted:
        return None
    if kind in (DataType.string, DataType.binary) and dtype.kind in "OUS":
        return _texts(name, column, kind)
    if kind is DataType.datetime and dtype.kind in "MO":
        return _cast(name, column, wanted)
    if kind is DataType.boolean and dtype.kind == "O":
        return _booleans(name, column)
    if dtype.kind == "O":
        column = _inferred(column)
        dtype = column.dtype
    if _is_upcast(column, wanted):
        return _cast(name, column, wanted)
    raise InvalidValueError(
        f"Incompatible input types for column {name}. Can not safely convert {dtype.name} to "
        f"{wanted}.{_hint(column, wanted)}"
    )


def _is_upcast(column: Column, wanted: str) -> bool:
    kind = column.dtype.kind
    if kind not in "iuf" or wanted not in _SIZES:
        return False
    size = column.dtype.itemsize
    if kind == wanted[0]:
        return size <= _SIZES[wanted]
    if kind == "u" and wanted[0] == "i":
        return size < _SIZES[wanted]
    if kind in "iu" and wanted == "float64" and size <= 6:
        return True
    return kind == "i" and wanted[0] == "f" and _all_zero_or_one(column)


def _all_zero_or_one(column: Column) -> bool:
    return all(item in (0, 1) for item in column.tolist())


def _hint(column: Column, wanted: str) -> str:
    if column.dtype.kind != "f" or wanted[0] != "i" or not bool(column.isna().any()):
        return ""
    return (
        " Hint: the type mismatch is likely caused by missing values. Integer columns in python "
        "can not represent missing values and are therefore encoded as floats. Declare such "
        "columns as doubles in the signature."
    )


def _cast(name: object, column: Column, wanted: str) -> object:
    try:
        return column.astype(wanted)
    except (ValueError, TypeError) as error:
        raise InvalidValueError(
            f"Failed to convert column {name} from type {column.dtype.name} to {wanted}: {error}"
        ) from error


def _inferred(column: Column) -> Column:
    pandas = importlib.import_module("pandas")
    found: Column = pandas.Series(column.tolist(), index=getattr(column, "index", None))
    return found


def _texts(name: object, column: Column, kind: DataType) -> object:
    wanted = str if kind is DataType.string else (bytes, bytearray)
    for row, item in enumerate(column.tolist()):
        if not isinstance(item, wanted) and not is_missing(item):
            raise InvalidValueError(
                f"Incompatible input types for column {name}. Row {row} has a "
                f"{type(item).__name__}, not a {kind.value}."
            )
    return None


def _booleans(name: object, column: Column) -> object:
    if all(isinstance(item, bool) or is_missing(item) for item in column.tolist()):
        return None
    raise InvalidValueError(
        f"Incompatible input types for column {name}. Can not safely convert object to bool."
    )
