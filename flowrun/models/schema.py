"""What a model takes and gives: MLflow's schemas, and their JSON as MLmodel files have it.

Nothing here needs numpy or pandas: a tensor's dtype is its name.
Source: MLflow 3.17, mlflow/types/schema.py; https://mlflow.org/docs/latest/ml/model/signatures.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Union

from flowrun.errors import InvalidValueError

_MAX_DEPTH = 50


class DataType(Enum):
    """The types that a column's values can have."""

    boolean = "boolean"
    integer = "integer"
    """32 bits."""
    long = "long"
    """64 bits."""
    float = "float"
    """32 bits."""
    double = "double"
    """64 bits."""
    string = "string"
    binary = "binary"
    datetime = "datetime"


@dataclass(frozen=True)
class Array:
    """A list of values of one type."""

    dtype: ColumnType


@dataclass(frozen=True)
class Property:
    """One named value of an `Object`."""

    name: str
    dtype: ColumnType
    required: bool = True


@dataclass(frozen=True)
class Object:
    """A mapping whose names are known."""

    properties: Sequence[Property]

    def __post_init__(self) -> None:
        ordered = tuple(sorted(self.properties, key=lambda item: item.name))
        object.__setattr__(self, "properties", ordered)


@dataclass(frozen=True)
class Map:
    """A mapping of any names to values of one type."""

    value_type: ColumnType


@dataclass(frozen=True)
class AnyType:
    """Whatever JSON can say, also nothing."""


@dataclass(frozen=True)
class SparkMLVector:
    """A vector of Spark ML."""


ColumnType = Union[DataType, Array, Object, Map, AnyType, SparkMLVector]


@dataclass(frozen=True)
class ColSpec:
    """A column: its type, a `DataType` or its name, and its name if columns have names."""

    type: ColumnType | str
    name: str | int | None = None
    required: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "type", _data_type(self.type))

    @property
    def kind(self) -> ColumnType:
        """The type."""
        return _data_type(self.type)


@dataclass(frozen=True)
class TensorSpec:
    """A tensor: the name of its numpy dtype, and its shape with -1 where any length will do."""

    type: str
    shape: tuple[int, ...]
    name: str | int | None = None

    def __post_init__(self) -> None:
        dtype: object = self.type  # a numpy.dtype is welcome too
        name = "str" if str(dtype).startswith("<U") else str(getattr(dtype, "name", dtype))
        object.__setattr__(self, "type", name)
        object.__setattr__(self, "shape", tuple(int(length) for length in self.shape))


@dataclass(frozen=True)
class Schema:
    """Columns, all named or none; or tensors, several of them only with names."""

    inputs: Sequence[ColSpec] | Sequence[TensorSpec]

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", tuple(self.inputs))
        if not self.inputs:
            raise InvalidValueError("a schema needs at least one column or tensor")
        if len({isinstance(spec, TensorSpec) for spec in self.inputs}) > 1:
            raise InvalidValueError("a schema has columns or tensors, not both")
        if len({spec.name is None for spec in self.inputs}) > 1:
            raise InvalidValueError("in a schema all columns have names, or none has")
        if not self.has_names and any(not column.required for column in self.columns):
            raise InvalidValueError("a column that is not required needs a name")
        if not self.has_names and len(self.tensors) > 1:
            raise InvalidValueError("several tensors need names")

    def __len__(self) -> int:
        """Count columns or tensors."""
        return len(self.inputs)

    def __iter__(self) -> Iterator[ColSpec | TensorSpec]:
        """Give columns or tensors in their order."""
        return iter(self.inputs)

    @property
    def columns(self) -> Sequence[ColSpec]:
        """The columns; none if these are tensors."""
        return [spec for spec in self.inputs if isinstance(spec, ColSpec)]

    @property
    def tensors(self) -> Sequence[TensorSpec]:
        """The tensors; none if these are columns."""
        return [spec for spec in self.inputs if isinstance(spec, TensorSpec)]

    @property
    def has_names(self) -> bool:
        """Columns or tensors have names."""
        return self.inputs[0].name is not None

    def input_names(self) -> list[str | int]:
        """Give the names, or where there are none, the numbers from 0 on."""
        return [number if spec.name is None else spec.name for number, spec in enumerate(self)]

    def to_dict(self) -> list[dict[str, object]]:
        """Give what its JSON says."""
        return [_spec_json(spec) for spec in self]

    def to_json(self) -> str:
        """Give it as MLmodel files have it."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, text: str) -> Schema:
        """Read it.

        Raises:
            InvalidValueError: it is no schema.
        """
        return cls([_spec(item) for item in _json_list(text)])  # type: ignore[arg-type]  # checked


@dataclass(frozen=True)
class ParamSpec:
    """A parameter that can be given with a prediction: its type and default."""

    name: str
    dtype: ColumnType | str
    default: object
    shape: tuple[int, ...] | None = None
    """None: one value; (-1,): a list."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "dtype", _data_type(self.dtype))
        object.__setattr__(self, "shape", None if self.shape is None else tuple(self.shape))

    @property
    def kind(self) -> ColumnType:
        """The type."""
        return _data_type(self.dtype)


@dataclass(frozen=True)
class ParamSchema:
    """The parameters of predictions."""

    params: Sequence[ParamSpec]

    def __post_init__(self) -> None:
        object.__setattr__(self, "params", tuple(self.params))
        names = [param.name for param in self.params]
        if len(set(names)) < len(names):
            raise InvalidValueError(f"a parameter is there twice: {', '.join(names)}")

    def to_dict(self) -> list[dict[str, object]]:
        """Give what its JSON says."""
        return [
            {
                "name": param.name,
                "default": _default_json(param.default),
                "shape": None if param.shape is None else list(param.shape),
                **_type_json(param.kind),
            }
            for param in self.params
        ]

    def to_json(self) -> str:
        """Give it as MLmodel files have it."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, text: str) -> ParamSchema:
        """Read it.

        Raises:
            InvalidValueError: it is no schema of parameters.
        """
        return cls([_param(item) for item in _json_list(text)])


def _data_type(given: ColumnType | str) -> ColumnType:
    if not isinstance(given, str):
        return given
    try:
        return DataType(given)
    except ValueError:
        known = ", ".join(kind.value for kind in DataType)
        raise InvalidValueError(f"a schema has no type '{given}'; it has {known}") from None


def _spec_json(spec: ColSpec | TensorSpec) -> dict[str, object]:
    if isinstance(spec, TensorSpec):
        tensor = {"dtype": spec.type, "shape": list(spec.shape)}
        name = {} if spec.name is None else {"name": spec.name}
        return {**name, "type": "tensor", "tensor-spec": tensor}
    name = {} if spec.name is None else {"name": spec.name}
    return {**_type_json(spec.kind), **name, "required": spec.required}


def _type_json(kind: ColumnType) -> dict[str, object]:
    if isinstance(kind, DataType):
        return {"type": kind.value}
    if isinstance(kind, Array):
        return {"type": "array", "items": _type_json(kind.dtype)}
    if isinstance(kind, Object):
        properties = {
            item.name: {**_type_json(item.dtype), "required": item.required}
            for item in kind.properties
        }
        return {"type": "object", "properties": properties}
    if isinstance(kind, Map):
        return {"type": "map", "values": _type_json(kind.value_type)}
    return {"type": "any" if isinstance(kind, AnyType) else "sparkml_vector"}


def _default_json(default: object) -> object:
    if isinstance(default, (list, tuple)):
        return [_default_json(item) for item in default]
    isoformat = getattr(default, "isoformat", None)
    return default if isoformat is None else isoformat()


def _json_list(text: str) -> Sequence[Mapping[str, object]]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError, TypeError):
        value = None
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise InvalidValueError(f"no schema: a JSON list of objects is expected, not {text!r:.80}")
    return value


def _spec(fields: Mapping[str, object]) -> ColSpec | TensorSpec:
    name = fields.get("name")
    name = name if name is None or isinstance(name, int) else str(name)
    if fields.get("type") != "tensor":
        return ColSpec(_type(fields, 0), name, fields.get("required") is not False)
    tensor = fields.get("tensor-spec")
    if not isinstance(tensor, dict) or not isinstance(tensor.get("shape"), list):
        raise InvalidValueError(
            f"no schema: 'tensor-spec' with dtype and shape is missing: {fields}"
        )
    try:
        return TensorSpec(str(tensor["dtype"]), tuple(int(n) for n in tensor["shape"]), name)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise InvalidValueError(f"no schema: this is no tensor: {tensor}") from None


def _type(fields: Mapping[str, object], depth: int) -> ColumnType:
    kind = fields.get("type")
    if depth > _MAX_DEPTH:
        raise InvalidValueError("no schema: nested too deeply")
    if kind == "array":
        return Array(_type(_object(fields, "items"), depth + 1))
    if kind == "map":
        return Map(_type(_object(fields, "values"), depth + 1))
    if kind == "object":
        properties = _object(fields, "properties")
        return Object([_property(properties, name, depth + 1) for name in properties])
    if kind in ("any", "sparkml_vector"):
        return AnyType() if kind == "any" else SparkMLVector()
    return _data_type(str(kind))


def _property(properties: Mapping[str, object], name: str, depth: int) -> Property:
    fields = _object(properties, name)
    return Property(name, _type(fields, depth), fields.get("required") is not False)


def _object(fields: Mapping[str, object], name: str) -> Mapping[str, object]:
    value = fields.get(name)
    if not isinstance(value, dict):
        raise InvalidValueError(f"no schema: '{name}' is missing or no object in {dict(fields)}")
    return value


def _param(fields: Mapping[str, object]) -> ParamSpec:
    if not {"name", "default"} <= set(fields) or not {"type", "dtype"} & set(fields):
        raise InvalidValueError(f"no parameter: name, type or default is missing in {dict(fields)}")
    shape = fields.get("shape")
    return ParamSpec(
        str(fields["name"]),
        _type({**fields, "type": fields.get("type") or fields.get("dtype")}, 0),
        fields["default"],
        tuple(shape) if isinstance(shape, list) else None,
    )
