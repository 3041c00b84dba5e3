"""Arrays from JSON: what `inputs` and `instances` say, cast to the types of a model's signature.

Source: MLflow 3.17, mlflow/utils/proto_json_utils.py.
"""

from __future__ import annotations

from typing import Any

from flowrun.errors import InvalidValueError
from flowrun.models.enforce_values import enforce_value
from flowrun.models.flavors.base import library
from flowrun.models.schema import AnyType, Array, ColSpec, DataType, Schema, TensorSpec

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


def inputs_data(said: object, schema: Schema | None) -> object:
    """Give the data that `inputs` says.

    Raises:
        InvalidValueError: a value does not fit the signature.
    """
    specs = _by_name(schema)
    if len(specs) == 1 and isinstance(said, list) and not any(isinstance(x, dict) for x in said):
        said = {next(iter(specs)): said}  # data for the only column
    elif schema is not None and not schema.has_names and isinstance(said, dict):
        raise InvalidValueError(
            "Failed to parse input data. This model contains an un-named  model signature which "
            "expects a single n-dimensional array or a single value as input, however, an input of "
            f"type {type(said)} was found."
        )
    if isinstance(said, dict):
        return {name: _converted(value, specs.get(name)) for name, value in said.items()}
    if isinstance(said, list) and all(isinstance(row, dict) for row in said):
        return [
            {name: _converted(value, specs.get(name)) for name, value in row.items()}
            for row in said
        ]
    return _converted(said, schema.inputs[0] if schema else None)


def instances_data(said: object, schema: Schema | None) -> object:
    """Give the data that `instances` says: one item a sample, so all columns are equally long.

    Raises:
        InvalidValueError: a value does not fit the signature.
    """
    numpy = library("numpy")
    specs = _by_name(schema)
    if isinstance(said, list) and said and isinstance(said[0], dict):
        columns: dict[str, list[object]] = {}
        for row in said:
            if not isinstance(row, dict):
                raise InvalidValueError(f"instances: an object is expected, not {row!r:.80}")
            for name, value in row.items():
                columns.setdefault(name, []).append(_converted(value, specs.get(name)))
        data: object = {name: numpy.array(values) for name, values in columns.items()}
    else:
        data = inputs_data(said, schema)
    _check_lengths(data, schema)
    return data


def _check_lengths(data: object, schema: Schema | None) -> None:
    if not isinstance(data, dict):
        return
    specs = _by_name(schema)
    lengths = {
        len(value)
        for name, value in data.items()
        if getattr(value, "ndim", 0) > 0 and _is_counted(name, specs)
    }
    if len(lengths) > 1:
        raise InvalidValueError("The length of values for each input/column name are not the same")


def _is_counted(name: str, specs: dict[str | int, ColSpec | TensorSpec]) -> bool:
    """Tell whether a column has one value a row: arrays are as long as they like."""
    if not specs:
        return True
    spec = specs.get(name)
    if spec is None:
        return False
    return isinstance(spec, TensorSpec) or (spec.required and not isinstance(spec.kind, Array))


def _by_name(schema: Schema | None) -> dict[str | int, ColSpec | TensorSpec]:
    if schema is None:
        return {}
    return {spec.name: spec for spec in schema if spec.name is not None}


def _converted(value: object, spec: ColSpec | TensorSpec | None) -> object:
    numpy: Any = library("numpy")
    try:
        if spec is None:
            return numpy.array(value)
        if isinstance(spec, TensorSpec):
            return numpy.array(value, dtype=spec.type)
        kind = spec.kind
        if isinstance(kind, DataType):
            dtype = _NUMPY[kind]
            return numpy.array(value, dtype) if isinstance(value, list) else _scalar(value, dtype)
        if isinstance(kind, AnyType):
            return value
        made = enforce_value(value, kind, required=spec.required, where=str(spec.name or "inputs"))
        return numpy.array(made) if isinstance(kind, Array) else made
    except InvalidValueError:
        raise
    except Exception as error:
        where = "" if spec is None or spec.name is None else f"'{spec.name}': "
        raise InvalidValueError(f"{where}{error}") from error


def _scalar(value: object, dtype: str) -> object:
    made: object = library("numpy").array([value], dtype)[0]
    return made
