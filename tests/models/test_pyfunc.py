"""Models of one's own, and data that does or does not fit their signature."""

from __future__ import annotations

import datetime
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import numpy
import pandas
import pytest

from flowrun.errors import FlowrunError, InvalidValueError, PermissionDeniedError
from flowrun.models.enforce import enforce_schema
from flowrun.models.enforce_values import enforce_params
from flowrun.models.flavors import pyfunc
from flowrun.models.mlmodel import MLMODEL
from flowrun.models.schema import (
    AnyType,
    Array,
    ColSpec,
    DataType,
    Map,
    Object,
    ParamSchema,
    ParamSpec,
    Property,
    Schema,
    TensorSpec,
)
from flowrun.models.signature import infer_signature
from tests.models.own import LOADER, Adder, code_of, double

DATA = pandas.DataFrame({"a": [1.0, 2.0]})


def save_adder(folder: Path) -> Path:
    number = folder / "number.txt"
    number.write_text("10")
    pyfunc.save_model(
        folder / "model",
        python_model=Adder(),
        artifacts={"number": str(number)},
        model_config={"unit": 0.5},
        signature=infer_signature(DATA, DATA["a"], params={"scale": 2.0}),
    )
    number.unlink()
    return folder / "model"


def test_a_class_gets_its_files_its_configuration_and_params(tmp_path: Path) -> None:
    model = pyfunc.load_model(str(save_adder(tmp_path)))
    assert list(model.predict(DATA)) == [21.5, 22.5]  # type: ignore[call-overload]
    assert list(model.predict(DATA, {"scale": 1})) == [11.5, 12.5]  # type: ignore[call-overload]
    again = pyfunc.load_model(str(tmp_path / "model"), model_config={"unit": 0})
    assert list(again.predict(DATA)) == [21.0, 22.0]  # type: ignore[call-overload]
    assert type(model.unwrap_python_model()).__name__ == "Adder"


def test_a_function_is_a_model(tmp_path: Path) -> None:
    pyfunc.save_model(tmp_path / "model", python_model=double, input_example=DATA)
    model = pyfunc.load_model(str(tmp_path / "model"))
    assert list(model.predict(DATA)) == [2.0, 4.0]  # type: ignore[call-overload]
    assert model.signature is not None
    assert model.signature.inputs == Schema([ColSpec(DataType.double, "a")])


def test_a_file_of_code_is_a_model_and_what_it_imports_is_required(tmp_path: Path) -> None:
    code = tmp_path / "triple.py"
    code.write_text("import networkx\n" + code_of("flowrun"))
    pyfunc.save_model(tmp_path / "model", python_model=code)
    model = pyfunc.load_model(str(tmp_path / "model"))
    assert list(model.predict(DATA)) == [3.0, 6.0]  # type: ignore[call-overload]
    required = (tmp_path / "model" / "requirements.txt").read_text().split("\n")
    assert [line.partition("==")[0] for line in required] == ["networkx", ""]


def test_a_loader_module_comes_with_the_model(tmp_path: Path) -> None:
    (tmp_path / "times_loader.py").write_text(LOADER)
    (tmp_path / "number.txt").write_text("5")
    pyfunc.save_model(
        tmp_path / "model",
        loader_module="times_loader",
        data_path=str(tmp_path / "number.txt"),
        code_paths=[str(tmp_path / "times_loader.py")],
    )
    path = list(sys.path)
    try:
        model = pyfunc.load_model(str(tmp_path / "model"))
    finally:
        sys.path[:] = path
        sys.modules.pop("times_loader", None)
    assert list(model.predict(DATA)) == [5.0, 10.0]  # type: ignore[call-overload]


@pytest.mark.parametrize("kind", ["class", "code", "loader"])
def test_models_that_bring_code_are_refused_where_pickles_are(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_adder(tmp_path)
    code = tmp_path / "model_code.py"
    code.write_text("raise AssertionError('this ran')")
    if kind == "code":
        pyfunc.save_model(tmp_path / "code", python_model=code)
    elif kind == "loader":
        pyfunc.save_model(tmp_path / "loader", loader_module="model_code", code_paths=[str(code)])
    monkeypatch.setenv("FLOWRUN_ALLOW_PICKLE", "0")
    folder = tmp_path / ("model" if kind == "class" else kind)
    with pytest.raises(PermissionDeniedError, match="can run any code when it is loaded"):
        pyfunc.load_model(str(folder))


def test_a_model_that_can_not_be_pickled_is_told_of_the_other_way(tmp_path: Path) -> None:
    model = Adder()
    model.number = threading.Lock()  # type: ignore[assignment]
    with pytest.raises(InvalidValueError, match="Failed to serialize Python model") as caught:
        pyfunc.save_model(tmp_path / "model", python_model=model)
    assert "Give the file that makes it as python_model" in str(caught.value)


def test_an_artifact_outside_of_the_model_is_not_handed_over(tmp_path: Path) -> None:
    folder = save_adder(tmp_path)
    text = (folder / MLMODEL).read_text()
    (folder / MLMODEL).write_text(text.replace("path: artifacts/number.txt", "path: ../../etc"))
    with pytest.raises(InvalidValueError, match="names a path outside of the model"):
        pyfunc.load_model(str(folder))


COLUMNS = Schema(
    [
        ColSpec("double", "x"),
        ColSpec("long", "n"),
        ColSpec("string", "s", required=False),
    ]
)
GIVEN = pandas.DataFrame({"x": [1.0, 2.0], "n": [1, 2], "s": ["a", None]})
CONVERTED: dict[str, tuple[Schema, object, dict[str, list[object]]]] = {
    "as it is": (COLUMNS, GIVEN, GIVEN.to_dict("list")),
    "order and extra columns": (
        COLUMNS,
        pandas.DataFrame({"z": [0], "n": [1], "x": [1.0]}),
        {"x": [1.0], "n": [1]},
    ),
    "narrower numbers": (
        COLUMNS,
        pandas.DataFrame({"x": numpy.array([1, 2], "int32"), "n": numpy.array([1, 2], "uint8")}),
        {"x": [1.0, 2.0], "n": [1, 2]},
    ),
    "a list of rows": (COLUMNS, [{"x": 1.5, "n": 2}], {"x": [1.5], "n": [2]}),
    "a row": (COLUMNS, {"x": 1.5, "n": 2}, {"x": [1.5], "n": [2]}),
    "columns": (COLUMNS, {"x": [1.5, 2], "n": [2, 3]}, {"x": [1.5, 2.0], "n": [2, 3]}),
    "nan in numbers": (
        Schema([ColSpec("double", "x")]),
        pandas.DataFrame({"x": [1.0, float("inf")]}),
        {"x": [1.0, float("inf")]},
    ),
    "zeros and ones": (
        Schema([ColSpec("double", "x")]),
        pandas.DataFrame({"x": [0, 1]}),
        {"x": [0.0, 1.0]},
    ),
    "dates": (
        Schema([ColSpec("datetime", "t")]),
        pandas.DataFrame({"t": ["2026-01-02"]}),
        {"t": [pandas.Timestamp("2026-01-02")]},
    ),
    "without names": (Schema([ColSpec("double")]), numpy.array([[1.0], [2.0]]), {"0": [1.0, 2.0]}),
    "nested": (
        Schema([ColSpec(Array(Object([Property("role", DataType.string)])), "m")]),
        {"m": [{"role": "user"}]},
        {"m": [[{"role": "user"}]]},
    ),
    "anything": (Schema([ColSpec(AnyType(), "m")]), [{"m": None}, {"m": 1}], {"m": [None, 1]}),
}


@pytest.mark.parametrize(("schema", "data", "expected"), CONVERTED.values(), ids=CONVERTED)
def test_data_is_converted_where_that_is_safe(
    schema: Schema, data: object, expected: Mapping[str, list[object]]
) -> None:
    made = enforce_schema(data, schema)
    assert isinstance(made, pandas.DataFrame)
    found = {str(key): value for key, value in made.to_dict("list").items()}
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert [None if x is None or x != x else x for x in found[name]] == [
            None if x is None or x != x else x for x in values
        ]


REFUSED: dict[str, tuple[Schema, object, str]] = {
    "missing": (
        COLUMNS,
        pandas.DataFrame({"x": [1.0], "y": [1]}),
        "Model is missing inputs ['n']. Note that there were extra inputs: ['y'].",
    ),
    "text for a number": (
        COLUMNS,
        pandas.DataFrame({"x": ["one"], "n": [1]}),
        "Incompatible input types for column x. Can not safely convert",
    ),
    "number for a text": (
        Schema([ColSpec("string", "s")]),
        pandas.DataFrame({"s": ["a", 1]}, dtype=object),
        "Incompatible input types for column s. Row 1 has a int, not a string.",
    ),
    "nan for an integer": (
        COLUMNS,
        pandas.DataFrame({"x": [1.0], "n": [float("nan")]}),
        "Can not safely convert float64 to int64. Hint: the type mismatch is likely caused by",
    ),
    "big integers for doubles": (
        Schema([ColSpec("double", "x")]),
        pandas.DataFrame({"x": [2, 3]}),
        "Can not safely convert int64 to float64",
    ),
    "too few columns": (
        Schema([ColSpec("double"), ColSpec("double")]),
        numpy.array([[1.0]]),
        "The model signature declares 2 inputs  but the provided value only has 1 inputs.",
    ),
    "nested": (
        Schema([ColSpec(Map(Array(DataType.long)), "m")]),
        [{"m": {"a": [1, "x"]}}],
        "m.a[]: Failed to enforce schema of data `'x'` with dtype `long`",
    ),
    "missing property": (
        Schema([ColSpec(Object([Property("p", DataType.long)]), "m")]),
        [{"m": {}}],
        "m: Missing required properties: {'p'}",
    ),
    "shape": (
        Schema([TensorSpec("float64", (-1, 3))]),
        numpy.ones((2, 4)),
        "Shape of input (2, 4) does not match expected shape (-1, 3).",
    ),
    "dtype": (
        Schema([TensorSpec("float32", (-1,), "t")]),
        {"t": numpy.ones(2)},
        "dtype of input of 't' float64 does not match expected dtype float32",
    ),
    "no tensor": (
        Schema([TensorSpec("float32", (-1,))]),
        "text",
        "This model contains a tensor-based model signature with no input names",
    ),
    "no table": (COLUMNS, object(), "Expected input to be DataFrame. Found: object"),
}


@pytest.mark.parametrize(("schema", "data", "message"), REFUSED.values(), ids=REFUSED)
def test_data_that_does_not_fit_is_refused_by_the_columns_name(
    schema: Schema, data: object, message: str
) -> None:
    with pytest.raises(InvalidValueError) as caught:
        enforce_schema(data, schema)
    assert message in str(caught.value)


def test_tensors_come_from_tables_too() -> None:
    named = Schema([TensorSpec("float32", (-1, 2), "t")])
    made = enforce_schema(pandas.DataFrame({"t": [[1, 2], [3, 4]]}), named)
    assert isinstance(made, dict)
    assert made["t"].tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert made["t"].dtype == "float32"


PARAMS = ParamSchema(
    [
        ParamSpec("scale", "double", 1.0),
        ParamSpec("words", "string", ["a"], (-1,)),
        ParamSpec("when", "datetime", datetime.datetime(2026, 1, 2)),  # noqa: DTZ001 - naive in MLflow
    ]
)


def test_params_get_defaults_and_unknown_ones_are_left_out() -> None:
    with pytest.warns(UserWarning, match=r"Unrecognized params \['colour'\] are ignored"):
        made = enforce_params({"scale": 2, "colour": "red"}, PARAMS)
    assert made == {"scale": 2.0, "words": ["a"], "when": PARAMS.params[2].default}
    assert ParamSchema.from_json(PARAMS.to_json()).params[0] == PARAMS.params[0]


@pytest.mark.parametrize("given", [{"scale": "x"}, {"words": "x"}, {"words": [1]}], ids=str)
def test_params_of_another_type_are_refused(given: Mapping[str, object]) -> None:
    with pytest.raises(FlowrunError, match="Invalid parameters found"):
        enforce_params(given, PARAMS)
