"""Data for a prediction, checked against the model's signature, and converted where that is safe.

Source: MLflow 3.17, mlflow/models/utils.py: what it converts is converted, what it refuses is
refused, in its words.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Mapping
from datetime import datetime
from types import ModuleType

from flowrun.errors import InvalidValueError
from flowrun.models.arrays import (
    Column,
    Frame,
    Items,
    SparseMatrix,
    is_array,
    is_column,
    is_frame,
    is_missing,
    is_numpy_scalar,
    is_scalar,
    is_sparse,
)
from flowrun.models.schema import (
    AnyType,
    Array,
    ColSpec,
    ColumnType,
    DataType,
    Map,
    Object,
    ParamSchema,
    ParamSpec,
    Schema,
    TensorSpec,
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
_NARROWER = {
    DataType.long: (DataType.integer,),
    DataType.float: (DataType.integer, DataType.long),
    DataType.double: (DataType.integer, DataType.long, DataType.float),
}


def enforce_schema(data: object, schema: Schema) -> object:
    """Give data as a model takes it.

    Args:
        data: a frame, an array, a mapping, a list or one value.
        schema: of the model's inputs.

    Raises:
        InvalidValueError: it does not fit; names the column.
    """
    if schema.tensors:
        return _tensors(data, schema)
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
        _check_names(frame.columns.tolist(), schema)
        present = set(frame.columns.tolist())
        pairs = [(spec.name, spec) for spec in schema.columns if spec.name in present]
    return _converted(frame, pairs)


def enforce_params(
    params: Mapping[str, object] | None, schema: ParamSchema | None
) -> dict[str, object] | None:
    """Give parameters as a model takes them, with defaults for those that are not given.

    Raises:
        InvalidValueError: one is of another type.
    """
    if schema is None:
        if params:
            warnings.warn(
                "`params` can only be specified at inference time if the model signature defines "
                "a params schema. This model does not define a params schema. Ignoring provided "
                f"params: {list(params)}",
                stacklevel=4,
            )
        return {} if params else None
    given = {str(name): value for name, value in (params or {}).items()}
    names = {spec.name for spec in schema.params}
    ignored = sorted(set(given) - names)
    if ignored:
        warnings.warn(
            f"Unrecognized params {ignored} are ignored for inference. Supported params are: "
            f"{names}. To enable them, please add corresponding schema in ModelSignature.",
            stacklevel=4,
        )
    return {
        spec.name: _param(given[spec.name], spec) if spec.name in given else spec.default
        for spec in schema.params
    }


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


def _check_names(names: list[object], schema: Schema) -> None:
    missing = [spec.name for spec in schema if _is_required(spec) and spec.name not in names]
    extra = [name for name in names if name not in schema.input_names()]
    if missing:
        message = f"Model is missing inputs {missing}."
        if extra:
            message += f" Note that there were extra inputs: {extra}."
        raise InvalidValueError(message)


def _is_required(spec: ColSpec | TensorSpec) -> bool:
    return isinstance(spec, TensorSpec) or spec.required


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
        values = [_value(item, kind, spec.required, str(name)) for item in column.tolist()]
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


def _value(value: object, kind: ColumnType, required: bool, where: str) -> object:  # noqa: FBT001
    """Give one value of a nested type, checked."""
    if is_missing(value) and (not required or isinstance(kind, AnyType)):
        return None
    if isinstance(kind, DataType):
        if not is_scalar(value) and not isinstance(value, datetime):
            raise InvalidValueError(f"{where}: a {kind.value} is expected, not {value!r:.80}")
        return _scalar(value, kind, where)
    if isinstance(kind, Array):
        if is_array(value):
            value = value.tolist()
        if not isinstance(value, (list, tuple)):
            raise InvalidValueError(
                f"{where}: Expected data to be list or numpy array, got {type(value).__name__}"
            )
        return [_value(item, kind.dtype, required, f"{where}[]") for item in value]
    if isinstance(kind, Map):
        return {
            name: _value(item, kind.value_type, required, f"{where}.{name}")
            for name, item in _mapping(value, where).items()
        }
    if isinstance(kind, Object):
        return _object(_mapping(value, where), kind, where)
    return value


def _object(value: Mapping[str, object], kind: Object, where: str) -> dict[str, object]:
    properties = {item.name: item for item in kind.properties}
    missing = {item.name for item in kind.properties if item.required} - set(value)
    if missing:
        raise InvalidValueError(f"{where}: Missing required properties: {missing}")
    unknown = set(value) - set(properties)
    if unknown:
        raise InvalidValueError(
            f"{where}: Invalid properties not defined in the schema found: {unknown}"
        )
    return {
        name: _value(item, properties[name].dtype, properties[name].required, f"{where}.{name}")
        for name, item in value.items()
    }


def _mapping(value: object, where: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise InvalidValueError(
            f"{where}: Expected data to be a dict with string keys, got {type(value).__name__}"
        )
    return value


def _scalar(value: object, kind: DataType, where: str) -> object:
    if is_numpy_scalar(value):
        value = value.tolist()  # type: ignore[attr-defined]  # of numpy
    fits = {
        DataType.boolean: isinstance(value, bool),
        DataType.string: isinstance(value, str),
        DataType.binary: isinstance(value, (bytes, bytearray)),
        DataType.datetime: isinstance(value, (datetime, str)),
    }.get(kind)
    if fits is None:
        is_number = isinstance(value, int) and not isinstance(value, bool)
        is_float = isinstance(value, float) and kind in (DataType.float, DataType.double)
        fits = is_number or is_float
        if fits and kind in (DataType.float, DataType.double) and isinstance(value, int):
            return float(value)
    if not fits:
        raise InvalidValueError(
            f"{where}: Failed to enforce schema of data `{value!r:.80}` with dtype `{kind.value}`"
        )
    return value


def _param(value: object, spec: ParamSpec) -> object:
    where = f"Invalid parameters found: '{spec.name}'"
    if value is None:
        return None
    if spec.shape is not None:
        if is_array(value):
            value = value.tolist()
        if not isinstance(value, (list, tuple)):
            raise InvalidValueError(f"{where}: Value must be a 1D array with shape (-1,)")
        return [_value(item, spec.kind, required=True, where=where) for item in value]
    return _value(value, spec.kind, required=True, where=where)


def _tensors(data: object, schema: Schema) -> object:
    if not schema.has_names:
        return _tensor(_one_array(data, schema.tensors[0]), schema.tensors[0])
    if is_array(data) and len(schema) == 1:
        data = {schema.tensors[0].name: data}
    if is_frame(data):
        _check_names(data.columns.tolist(), schema)
        return {
            spec.name: _tensor(_stacked(data[spec.name], spec), spec) for spec in schema.tensors
        }
    if not isinstance(data, Mapping):
        raise InvalidValueError(
            "This model contains a tensor-based model signature with input names, which suggests "
            "a dictionary input mapping input name to tensor, or a pandas DataFrame input "
            "containing columns mapping input name to flattened list value from tensor, but an "
            f"input of type {type(data)} was found."
        )
    _check_names(list(data), schema)
    arrays: dict[object, object] = {}
    for spec in schema.tensors:
        value = data[spec.name]
        if not is_array(value):
            raise InvalidValueError(
                "This model contains a tensor-based model signature with input names, which "
                "suggests a dictionary input mapping input name to a numpy array, but a dict with "
                f"value type {type(value)} was found."
            )
        arrays[spec.name] = _tensor(value, spec)
    return arrays


def _one_array(data: object, spec: TensorSpec) -> Items | SparseMatrix:
    if is_array(data) or is_sparse(data):
        return data
    if is_column(data):
        return data.to_numpy()
    if is_frame(data):
        names = data.columns.tolist()
        return _stacked(data[names[0]], spec) if len(names) == 1 else data.to_numpy()
    raise InvalidValueError(
        "This model contains a tensor-based model signature with no input names, which suggests a "
        "numpy array input or a pandas dataframe input with proper column values, but an input of "
        f"type {type(data)} was found."
    )


def _stacked(column: Column, spec: TensorSpec) -> Items:
    """Give the array that the values of a column make, which may be lists."""
    numpy = _numpy()
    shape = tuple(spec.shape)
    try:
        if column.dtype.kind == "O":
            made: Items = numpy.array(column.tolist(), dtype=spec.type).reshape(shape)
        else:
            made = column.to_numpy().astype(spec.type).reshape(shape)  # type: ignore[attr-defined]
    except (ValueError, TypeError) as error:
        raise InvalidValueError(
            f"The value in the Input DataFrame column '{column.name}' could not be converted to "
            f"the expected shape of: '{shape}': {error}"
        ) from error
    return made


def _tensor(value: Items | SparseMatrix, spec: TensorSpec) -> object:
    shape = value.shape
    dtype = value.data.dtype if is_sparse(value) else value.dtype  # type: ignore[union-attr]
    is_ragged = dtype.kind == "O" and len(shape) == 1
    if is_ragged and (spec.shape == (-1,) or -1 in spec.shape[1:]):
        return value
    fits = len(shape) == len(spec.shape) and all(
        wanted in (-1, length) for wanted, length in zip(spec.shape, shape)
    )
    where = f" of '{spec.name}'" if spec.name is not None else ""
    if not fits:
        raise InvalidValueError(
            f"Shape of input{where} {shape} does not match expected shape {spec.shape}."
        )
    name = {"U": "str", "S": "bytes"}.get(dtype.kind, dtype.name)
    if name != spec.type:
        raise InvalidValueError(
            f"dtype of input{where} {dtype.name} does not match expected dtype {spec.type}"
        )
    return value


def _numpy() -> ModuleType:
    return importlib.import_module("numpy")
