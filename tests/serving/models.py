"""Models to serve, saved into folders."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flowrun.models.flavors.pyfunc as flowrun_pyfunc
import flowrun.models.flavors.sklearn as flowrun_sklearn
from flowrun.models.schema import (
    Array,
    ColSpec,
    DataType,
    Object,
    ParamSchema,
    ParamSpec,
    Property,
    Schema,
    TensorSpec,
)
from flowrun.models.signature import ModelSignature
from tests.models.cases import table, training

ROWS = [[0.5, -1.0, 2.0], [-0.5, 0.25, -3.0]]
COLUMNS = ["a", "b", "c"]

KINDS = """
from flowrun.models import set_model

def say(model_input, params=None):
    def one(value):
        if isinstance(value, dict):
            return {name: one(item) for name, item in value.items()}
        if hasattr(value, "isoformat"):
            return value.isoformat()
        return value.tolist() if hasattr(value, "tolist") else value

    return [
        " ".join(f"{name}={one(row[name])!r}" for name in model_input.columns) + f" {params}"
        for row in model_input.to_dict(orient="records")
    ]

set_model(say)
"""

TENSOR = """
from flowrun.models import set_model

set_model(lambda model_input: model_input.sum(axis=1))
"""

GIVES = """
import datetime, decimal
import numpy, pandas
from flowrun.models import set_model

THINGS = {
    "dates": lambda: pandas.DataFrame({"t": pandas.to_datetime(["2024-05-01T03:04:05", None])}),
    "missing": lambda: numpy.array([1.0, float("nan"), float("inf")]),
    "series": lambda: pandas.Series([1, 2], name="n"),
    "texts": lambda: numpy.array(["a", "b\\u00e9"]),
    "table": lambda: pandas.DataFrame({"p": [0.25, 0.75], "label": ["x", None]}),
    "probabilities": lambda: numpy.array([[0.25, 0.75], [0.5, 0.5]], dtype="float32"),
    "scalars": lambda: [numpy.int64(3), numpy.float32(0.5), numpy.bool_(True)],
    "mapping": lambda: {"a": numpy.arange(2), "when": datetime.date(2024, 5, 1)},
    "bytes": lambda: [b"abc"],
    "odd": lambda: [decimal.Decimal(1)],
}

set_model(lambda model_input: THINGS[model_input["what"].iloc[0]]())
"""

CHAT = """
from flowrun.models import set_model

set_model(lambda said: {"heard": said["messages"][0]["content"], "n": said["n"]})
"""

NAUGHTY = """
import os, signal, sys, threading
from flowrun.models import set_model

def predict(model_input):
    what = model_input["what"].iloc[0]
    if what == "raise":
        raise RuntimeError("no such wine")
    if what == "hang":
        threading.Event().wait()
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "print":
        print("printed by the model")
    return [what] * len(model_input)

set_model(predict)
"""

TEXT = ModelSignature(Schema([ColSpec(DataType.string, "what")]))


def save_numbers(folder: Path) -> None:
    """Save a linear model of scikit-learn over three numbers."""
    linear: Any = importlib.import_module("sklearn.linear_model")
    x, _, sums = training()
    flowrun_sklearn.save_model(
        linear.LinearRegression().fit(x, sums), folder, input_example=table().head(2)
    )


def save_code(folder: Path, code: str, signature: ModelSignature | None) -> None:
    """Save a model that is a script."""
    script = folder.with_suffix(".py")
    script.write_text(code)
    flowrun_pyfunc.save_model(
        folder, python_model=str(script), signature=signature, pip_requirements=["numpy"]
    )


def save_function(folder: Path, code: str, signature: ModelSignature | None) -> None:
    """Save the function that a script calls its model, as a pickle: MLflow loads it too."""
    found: list[Callable[..., object]] = []
    space: dict[str, object] = {"__name__": "__main__", "set_model": found.append}
    exec(code.replace("from flowrun.models import set_model", ""), space)  # noqa: S102 - ours
    flowrun_pyfunc.save_model(
        folder, python_model=found[0], signature=signature, pip_requirements=["numpy"]
    )


def save_kinds(folder: Path) -> None:
    """Save a model that says what it got, of columns of all types and with params."""
    columns = [
        ColSpec(DataType.boolean, "flag"),
        ColSpec(DataType.integer, "small"),
        ColSpec(DataType.long, "big"),
        ColSpec(DataType.double, "real"),
        ColSpec(DataType.string, "text"),
        ColSpec(DataType.datetime, "time"),
        ColSpec(Array(DataType.double), "list"),
        ColSpec(Object([Property("x", DataType.long)]), "thing", required=False),
        ColSpec(DataType.double, "maybe", required=False),
    ]
    params = ParamSchema([ParamSpec("depth", DataType.long, 3)])
    save_function(folder, KINDS, ModelSignature(Schema(columns), None, params))


def save_tensor(folder: Path) -> None:
    """Save a model that sums the rows of an array."""
    save_function(folder, TENSOR, ModelSignature(Schema([TensorSpec("float32", (-1, 3))])))
