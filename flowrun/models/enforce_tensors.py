"""Arrays for a prediction, checked against the tensors of a model's signature."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from flowrun.errors import InvalidValueError
from flowrun.models.arrays import (
    Column,
    Items,
    SparseMatrix,
    is_array,
    is_column,
    is_frame,
    is_sparse,
)
from flowrun.models.schema import ColSpec, Schema, TensorSpec


def enforce_tensors(data: object, schema: Schema) -> object:
    """Give one array, or arrays by name, as a model takes them.

    Args:
        data: an array, a mapping of names to arrays, or a table whose columns hold them.
        schema: of tensors.

    Raises:
        InvalidValueError: a tensor is missing, or of another shape or dtype.
    """
    if not schema.has_names:
        return _tensor(_one_array(data, schema.tensors[0]), schema.tensors[0])
    if is_array(data) and len(schema) == 1:
        data = {schema.tensors[0].name: data}
    if is_frame(data):
        check_names(data.columns.tolist(), schema)
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
    check_names(list(data), schema)
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
    numpy = importlib.import_module("numpy")
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


def check_names(names: list[object], schema: Schema) -> None:
    """Refuse data that lacks a column or tensor.

    Raises:
        InvalidValueError: it does; names all of them.
    """
    missing = [spec.name for spec in schema if _is_required(spec) and spec.name not in names]
    extra = [name for name in names if name not in schema.input_names()]
    if missing:
        message = f"Model is missing inputs {missing}."
        if extra:
            message += f" Note that there were extra inputs: {extra}."
        raise InvalidValueError(message)


def _is_required(spec: ColSpec | TensorSpec) -> bool:
    return isinstance(spec, TensorSpec) or spec.required
