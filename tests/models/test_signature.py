"""What a signature says of data, as MLflow 3.17 says it."""

from __future__ import annotations

import datetime
import json
from typing import Any

import numpy
import pandas
import pytest
import scipy.sparse

from flowrun.errors import InvalidValueError
from flowrun.models.schema import ColSpec, DataType, ParamSchema, Schema, TensorSpec
from flowrun.models.signature import ModelSignature, infer_signature

NOT_REQUIRED = {"required": False}
REQUIRED = {"required": True}


def column(kind: str, name: object = None, **more: object) -> dict[str, object]:
    named = {} if name is None else {"name": name}
    return {"type": kind, **named, **REQUIRED, **more}


def tensor(dtype: str, *shape: int, **more: object) -> dict[str, object]:
    return {"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": list(shape)}, **more}


INFERRED: dict[str, tuple[Any, list[dict[str, object]]]] = {
    "table": (
        pandas.DataFrame(
            {
                "l": [1, 2],
                "i": numpy.array([1, 2], "uint16"),
                "w": numpy.array([1, 2], "uint32"),
                "d": [0.5, None],
                "f": numpy.array([1, 2], "float32"),
                "s": ["x", None],
                "b": [True, False],
                "t": pandas.to_datetime(["2026-01-01", "2026-01-02"]),
                "y": [b"a", b"b"],
            }
        ),
        [
            column("long", "l"),
            column("integer", "i"),
            column("long", "w"),
            column("double", "d", **NOT_REQUIRED),
            column("float", "f"),
            column("string", "s", **NOT_REQUIRED),
            column("boolean", "b"),
            column("datetime", "t"),
            column("binary", "y"),
        ],
    ),
    "numbered columns": (
        pandas.DataFrame([[1.0, 2.0]]),
        [column("double", 0), column("double", 1)],
    ),
    "lists and mappings in columns": (
        pandas.DataFrame({"a": [[1], []], "b": [{"x": 1}, {"x": 2, "y": "z"}], "n": [None, None]}),
        [
            {"type": "array", "items": {"type": "long"}, "name": "a", **REQUIRED},
            {
                "type": "object",
                "properties": {
                    "x": {"type": "long", **REQUIRED},
                    "y": {"type": "string", **NOT_REQUIRED},
                },
                "name": "b",
                **REQUIRED,
            },
            column("any", "n", **NOT_REQUIRED),
        ],
    ),
    "array": (numpy.ones((3, 4, 5), "float32"), [tensor("float32", -1, 4, 5)]),
    "texts": (numpy.array(["ab", "c"]), [tensor("str", -1)]),
    "sparse": (scipy.sparse.csr_matrix(numpy.eye(3)), [tensor("float64", -1, 3)]),
    "arrays by name": (
        {"x": numpy.ones((2, 2)), "y": numpy.ones(3, "int64")},
        [tensor("float64", -1, 2, name="x"), tensor("int64", -1, name="y")],
    ),
    "rows": (
        [{"a": 1, "b": "x"}, {"a": 2}],
        [column("long", "a"), column("string", "b", **NOT_REQUIRED)],
    ),
    "values": (["a", "b"], [column("string")]),
    "one value": ("hello", [column("string")]),
    "nothing": ([], [column("string")]),
}


@pytest.mark.parametrize(("data", "expected"), INFERRED.values(), ids=INFERRED)
def test_a_signature_follows_from_data(data: object, expected: list[dict[str, object]]) -> None:
    signature = infer_signature(data)
    said = signature.to_dict()
    assert json.loads(str(said["inputs"])) == expected
    assert ModelSignature.from_dict(said) == signature


def test_params_have_types_and_defaults() -> None:
    when = datetime.datetime(2026, 1, 2)  # noqa: DTZ001 - as MLflow keeps it
    params = {"a": 1, "b": [0.5], "c": when, "d": numpy.float32(2)}
    schema = infer_signature(["x"], params=params).params
    assert schema is not None
    assert [(item["type"], item["default"], item["shape"]) for item in schema.to_dict()] == [
        ("long", 1, None),
        ("double", [0.5], [-1]),
        ("datetime", "2026-01-02T00:00:00", None),
        ("double", 2.0, None),
    ]


def test_data_of_mixed_types_is_any_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="model_input says 'any'.*several types are mixed"):
        signature = infer_signature([1, "a"])
    assert json.loads(str(signature.to_dict()["inputs"])) == [column("any")]


WRONG = {
    "no JSON": "{",
    "no list": '{"type": "double"}',
    "unknown type": '[{"type": "complex"}]',
    "names for some": '[{"type": "long", "name": "a"}, {"type": "long"}]',
    "columns and tensors": '[{"type": "long"}, {"type": "tensor", "tensor-spec": '
    '{"dtype": "int64", "shape": [-1]}}]',
    "tensor without a shape": '[{"type": "tensor", "tensor-spec": {"dtype": "int64"}}]',
    "array of nothing": '[{"type": "array"}]',
    "nested too deeply": '[{"type": "array", "items": '
    + '{"type": "array", "items": ' * 60
    + '{"type": "long"}'
    + "}" * 61
    + "]",
    "empty": "[]",
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_what_is_no_schema_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError):
        Schema.from_json(text)


@pytest.mark.parametrize(
    "text", ['[{"name": "a"}]', "3", '[{"name": "a", "type": "x", "default": 1}]']
)
def test_what_are_no_params_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError):
        ParamSchema.from_json(text)


def test_a_schema_can_be_written_by_hand() -> None:
    by_name = Schema([ColSpec("double", "x"), ColSpec(DataType.long, "n", required=False)])
    assert by_name.input_names() == ["x", "n"]
    assert Schema([TensorSpec(numpy.dtype("float32").name, (-1, 2))]).tensors[0].type == "float32"
