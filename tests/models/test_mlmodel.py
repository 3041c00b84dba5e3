"""MLmodel files: MLflow's own, and what only looks like one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from flowrun.errors import InvalidValueError, NotFoundError
from flowrun.models.mlmodel import read_mlmodel

MLMODEL = """\
artifact_path: model
flavors:
  python_function:
    loader_module: mlflow.sklearn
    predict_fn: predict
  sklearn:
    pickled_model: model.pkl
    sklearn_version: 1.5.0
mlflow_version: 3.17.0
model_id: m-0123456789abcdef0123456789abcdef
model_uuid: 0123456789abcdef0123456789abcdef
run_id: fedcba9876543210fedcba9876543210
signature:
  inputs: '[{"type": "double"}]'
  outputs: null
utc_time_created: '2026-01-02 03:04:05.678'
"""


def test_file_says_what_the_model_is(tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text(MLMODEL)
    model = read_mlmodel(tmp_path)
    assert list(model.flavors) == ["python_function", "sklearn"]
    assert model.flavors["sklearn"]["pickled_model"] == "model.pkl"
    assert model.run_id == "fedcba9876543210fedcba9876543210"
    assert model.model_id == "m-0123456789abcdef0123456789abcdef"
    assert model.model_uuid == "0123456789abcdef0123456789abcdef"
    assert model.utc_time_created == "2026-01-02 03:04:05.678"
    assert model.mlflow_version == "3.17.0"
    assert model.signature == {"inputs": '[{"type": "double"}]', "outputs": None}
    assert model.raw["artifact_path"] == "model"
    assert read_mlmodel(MLMODEL) == model


def test_what_is_not_said_is_none() -> None:
    model = read_mlmodel("flavors: {python_function: {loader_module: x}}")
    assert (model.run_id, model.model_id, model.model_uuid) == (None, None, None)
    assert (model.utc_time_created, model.mlflow_version, model.signature) == (None, None, None)


def test_unquoted_time_stays_as_it_is_written() -> None:
    text = "flavors: {f: {}}\nutc_time_created: 2020-01-02 03:04:05.678"
    assert read_mlmodel(text).utc_time_created == "2020-01-02 03:04:05.678"


FLAVORLESS = "MLmodel: 'flavors' is missing, so nothing says how to load it"
REFUSED = {
    "empty": ("", "MLmodel: a mapping is expected, not NoneType"),
    "list": ("- a", "MLmodel: a mapping is expected, not list"),
    "no flavors": ("run_id: x", FLAVORLESS),
    "empty flavors": ("flavors: {}", FLAVORLESS),
    "flavors as a list": ("flavors: [a]", FLAVORLESS),
    "flavor without settings": (
        "flavors: {a: 1}",
        "MLmodel: flavor 'a' is not a mapping of settings",
    ),
    "no YAML": ("a: [b", "MLmodel:1:6: not YAML: expected ',' or ']', but got '<stream end>'"),
    "aliases": (
        "a: &a [x]\nb: [*a, *a]\nflavors: {f: {}}",
        "MLmodel: YAML aliases are not allowed",
    ),
    "Python objects": (
        "flavors: !!python/object/apply:os.system ['echo hacked']",
        "MLmodel:1:10: not YAML: could not determine a constructor for the tag "
        "'tag:yaml.org,2002:python/object/apply:os.system'",
    ),
    "nested too deeply": ("[" * 3000 + "]" * 3000, "MLmodel: nested too deeply"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_text_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidValueError) as error:
        read_mlmodel(text)
    assert str(error.value) == message


def test_folder_without_the_file_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError) as error:
        read_mlmodel(tmp_path)
    assert str(error.value) == (
        f"{tmp_path} is no model: it has no MLmodel file\n"
        "A model is a folder as mlflow.<flavor>.save_model writes it."
    )


def test_binary_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_bytes(b"a: \xff")
    with pytest.raises(InvalidValueError) as error:
        read_mlmodel(tmp_path)
    assert str(error.value) == f"{tmp_path / 'MLmodel'}: not UTF-8 text (byte 3)"


def test_huge_file_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "MLmodel").open("wb") as file:
        file.truncate(20_000_000)
    with pytest.raises(InvalidValueError, match="too big for an MLmodel file"):
        read_mlmodel(tmp_path)


@pytest.mark.slow
def test_model_that_mlflow_saves_is_read(tmp_path: Path) -> None:
    script = """
import sys, mlflow, numpy as np
from mlflow.models import infer_signature
from sklearn.linear_model import LinearRegression
x = np.array([[1.0], [2.0]])
model = LinearRegression().fit(x, x[:, 0])
mlflow.sklearn.save_model(model, sys.argv[1], signature=infer_signature(x, model.predict(x)))
"""
    folder = tmp_path / "model"
    subprocess.run([sys.executable, "-c", script, str(folder)], check=True, capture_output=True)
    model = read_mlmodel(folder)
    assert set(model.flavors) == {"python_function", "sklearn"}
    assert model.mlflow_version
    assert model.signature
    assert json.loads(str(model.signature["inputs"]))[0]["type"] == "tensor"
