"""A model's signature: the schemas of inputs, outputs and parameters, and finding them in data.

Source: MLflow 3.17, mlflow/models/signature.py and mlflow/types/utils.py.
"""

from __future__ import annotations

import datetime
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flowrun.errors import InvalidValueError
from flowrun.models.arrays import (
    Column,
    DType,
    all_names,
    is_array,
    is_column,
    is_frame,
    is_missing,
    is_numpy_scalar,
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
    Property,
    Schema,
    TensorSpec,
)

_OF_PYTHON = {
    bool: DataType.boolean,
    int: DataType.long,
    float: DataType.double,
    str: DataType.string,
    bytes: DataType.binary,
    bytearray: DataType.binary,
}


@dataclass(frozen=True)
class ModelSignature:
    """What a model takes, what it gives, and what can be set with a prediction."""

    inputs: Schema | None = None
    outputs: Schema | None = None
    params: ParamSchema | None = None

    def __post_init__(self) -> None:
        if self.inputs is None and self.outputs is None and self.params is None:
            raise InvalidValueError("a signature has inputs, outputs or params, or several of them")

    def to_dict(self) -> dict[str, str | None]:
        """Give it as MLmodel files have it: JSON texts."""
        return {
            "inputs": self.inputs.to_json() if self.inputs else None,
            "outputs": self.outputs.to_json() if self.outputs else None,
            "params": self.params.to_json() if self.params else None,
        }

    @classmethod
    def from_dict(cls, said: Mapping[str, object]) -> ModelSignature:
        """Read it.

        Raises:
            InvalidValueError: it is no signature.
        """
        inputs, outputs, params = (said.get(name) for name in ("inputs", "outputs", "params"))
        return cls(
            Schema.from_json(str(inputs)) if inputs else None,
            Schema.from_json(str(outputs)) if outputs else None,
            ParamSchema.from_json(str(params)) if params else None,
        )


def infer_signature(
    model_input: object = None,
    model_output: object = None,
    params: Mapping[str, object] | None = None,
) -> ModelSignature:
    """Give the signature of a model that takes and gives data like this.

    Args:
        model_input: a frame, a column, an array or a mapping of names to arrays, a sparse matrix,
            or what JSON can say: a list of mappings is a table.
        model_output: the same of what comes out.
        params: what can be set with a prediction, by name, with defaults.

    Raises:
        InvalidValueError: a parameter is of no type that signatures have.
    """
    return ModelSignature(
        None if model_input is None else _schema_or_any(model_input, "model_input"),
        None if model_output is None else _schema_or_any(model_output, "model_output"),
        ParamSchema([_param(name, value) for name, value in params.items()]) if params else None,
    )


def infer_from_example(
    model_input: object, model_output: object, params: Mapping[str, object] | None
) -> ModelSignature:
    """Give the signature that follows from what a model made of an example.

    A list of numbers made of a table is one column: a prediction for each row.
    """
    signature = infer_signature(model_input, None, params)
    is_table = signature.inputs is not None and not signature.inputs.tensors
    outputs = _schema_or_any(model_output, "the model's output")
    if is_table and is_array(model_output) and len(model_output.shape) == 1:
        kind = _kind_of_dtype(model_output.dtype) or _kind_of_items(model_output.tolist())
        outputs = Schema([ColSpec(kind)])
    return ModelSignature(signature.inputs, outputs, signature.params)


def infer_schema(data: object) -> Schema:
    """Give the schema of data; see `infer_signature`.

    Raises:
        InvalidValueError: it is of no type that schemas have.
    """
    if is_frame(data):
        names = all_names(data.columns.tolist())
        columns = [data[name] for name in data.columns.tolist()]
        return Schema([_column(column, name) for column, name in zip(columns, names)])
    if is_column(data):
        return Schema([_column(data, None if data.name is None else str(data.name))])
    if is_array(data):
        return Schema([TensorSpec(_dtype_name(data.dtype), (-1, *data.shape[1:]))])
    if is_sparse(data):
        return Schema([TensorSpec(_dtype_name(data.data.dtype), (-1, *data.shape[1:]))])
    if isinstance(data, Mapping):
        return _schema_of_mapping(data)
    if isinstance(data, (list, tuple)):
        return _schema_of_list(list(data))
    return Schema([ColSpec(_kind_of(data))])


def _schema_or_any(data: object, what: str) -> Schema:
    try:
        return infer_schema(data)
    except InvalidValueError as error:
        warnings.warn(
            f"the schema of {what} says 'any', since it can't be found out: {error.message}",
            stacklevel=3,
        )
        return Schema([ColSpec(AnyType())])


def _schema_of_mapping(data: Mapping[object, object]) -> Schema:
    if data and all(is_array(value) for value in data.values()):
        return Schema(
            [
                TensorSpec(_dtype_name(value.dtype), (-1, *value.shape[1:]), str(name))
                for name, value in data.items()
                if is_array(value)
            ]
        )
    return Schema(
        [
            ColSpec(_kind_of(value), str(name), required=not _has_missing(value))
            for name, value in data.items()
        ]
    )


def _schema_of_list(data: list[object]) -> Schema:
    if not data:
        return Schema([ColSpec(DataType.string)])
    rows = [row for row in data if isinstance(row, Mapping)]
    if len(rows) < len(data):
        return Schema([ColSpec(_kind_of_items(data))])
    names = list(dict.fromkeys(name for row in rows for name in row))
    return Schema(
        [
            ColSpec(
                _kind_of_items([row[name] for row in rows if name in row]),
                str(name),
                required=all(row.get(name) is not None for row in rows),
            )
            for name in names
        ]
    )


def _column(column: Column, name: str | int | None) -> ColSpec:
    kind: ColumnType | None = _kind_of_dtype(column.dtype)
    if kind is None:
        kind = _kind_of_items([item for item in column.tolist() if not is_missing(item)])
    return ColSpec(kind, name, required=name is None or not bool(column.isna().any()))


def _dtype_name(dtype: DType) -> str:
    """Give the name without the size of texts, which MLflow does not keep."""
    return {"U": "str", "S": "bytes"}.get(dtype.kind, dtype.name)


def _kind_of_dtype(dtype: DType) -> DataType | None:
    """Give the type of all items; None if the items have to be looked at."""
    if dtype.kind in "iu":
        size = dtype.itemsize + (dtype.kind == "u")  # an unsigned one needs the next wider type
        if size > 8:
            raise InvalidValueError(f"no type of a schema holds all of {dtype.name}")
        return DataType.integer if size <= 4 else DataType.long
    if dtype.kind == "f":
        if dtype.itemsize > 8:
            raise InvalidValueError(f"no type of a schema holds all of {dtype.name}")
        return DataType.float if dtype.itemsize <= 4 else DataType.double
    simple = {"b": DataType.boolean, "U": DataType.string, "S": DataType.binary}
    return {**simple, "M": DataType.datetime}.get(dtype.kind)


def _kind_of(value: object) -> ColumnType:
    if is_missing(value) or (isinstance(value, (list, tuple, Mapping)) and not value):
        return AnyType()
    if isinstance(value, Mapping):
        return Object([_property(str(name), item) for name, item in value.items()])
    if isinstance(value, (list, tuple)):
        return Array(_kind_of_items(list(value)))
    if is_array(value):
        return Array(_kind_of_dtype(value.dtype) or _kind_of_items(value.tolist()))
    if type(value) in _OF_PYTHON:
        return _OF_PYTHON[type(value)]
    if isinstance(value, datetime.date):
        return DataType.datetime
    if is_numpy_scalar(value):
        kind = _kind_of_dtype(value.dtype)  # type: ignore[attr-defined]  # a scalar of numpy
        if kind is not None:
            return kind
    raise InvalidValueError(f"a value of type {type(value).__name__} has no type in a schema")


def _property(name: str, value: object) -> Property:
    kind = _kind_of(value)
    return Property(name, kind, required=not isinstance(kind, AnyType))


def _kind_of_items(items: Sequence[object]) -> ColumnType:
    kind: ColumnType = AnyType()
    for item in items:
        kind = _merged(kind, _kind_of(item))
    return kind


def _merged(one: ColumnType, other: ColumnType) -> ColumnType:
    """Give the type that both values have."""
    if one == other or isinstance(other, AnyType):
        return one
    if isinstance(one, AnyType):
        return other
    if isinstance(one, Array) and isinstance(other, Array):
        return Array(_merged(one.dtype, other.dtype))
    if isinstance(one, Map) and isinstance(other, Map):
        return Map(_merged(one.value_type, other.value_type))
    if isinstance(one, Object) and isinstance(other, Object):
        return _merged_objects(one, other)
    raise InvalidValueError(f"values of several types are mixed: {one} and {other}")


def _merged_objects(one: Object, other: Object) -> Object:
    first = {item.name: item for item in one.properties}
    second = {item.name: item for item in other.properties}
    return Object(
        [
            Property(
                name,
                _merged(first[name].dtype, second[name].dtype),
                first[name].required and second[name].required,
            )
            if name in first and name in second
            else Property(name, (first.get(name) or second[name]).dtype, required=False)
            for name in {**first, **second}
        ]
    )


def _has_missing(value: object) -> bool:
    if isinstance(value, (list, tuple)):
        return any(is_missing(item) for item in value)
    return is_missing(value)


def _param(name: str, value: object) -> ParamSpec:
    if is_array(value) or is_numpy_scalar(value):
        value = value.tolist()  # type: ignore[attr-defined]  # of numpy
    kind = _kind_of(value)
    is_list = isinstance(kind, Array)
    if isinstance(kind, Array):
        kind = kind.dtype
    if not isinstance(kind, (DataType, Object)) or kind is DataType.binary:
        raise InvalidValueError(f"parameter '{name}' can't be {value!r:.80}")
    return ParamSpec(str(name), kind, value, (-1,) if is_list else None)
