"""Single values for a prediction, nested ones and parameters, checked against their types."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from datetime import datetime

from flowrun.errors import InvalidValueError
from flowrun.models.arrays import is_array, is_missing, is_numpy_scalar, is_scalar
from flowrun.models.schema import (
    AnyType,
    Array,
    ColumnType,
    DataType,
    Map,
    Object,
    ParamSchema,
    ParamSpec,
)


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


def enforce_value(value: object, kind: ColumnType, *, required: bool, where: str) -> object:
    """Give one value of any type, checked.

    Args:
        value: the value.
        kind: its type.
        required: it may not be missing.
        where: what it is called in messages.

    Raises:
        InvalidValueError: it is of another type.
    """
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
        return [
            enforce_value(item, kind.dtype, required=required, where=f"{where}[]") for item in value
        ]
    if isinstance(kind, Map):
        return {
            name: enforce_value(item, kind.value_type, required=required, where=f"{where}.{name}")
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
        name: enforce_value(
            item,
            properties[name].dtype,
            required=properties[name].required,
            where=f"{where}.{name}",
        )
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
        return [enforce_value(item, spec.kind, required=True, where=where) for item in value]
    return enforce_value(value, spec.kind, required=True, where=where)
