"""Models of Keras, on PyTorch: both ways, and what in them is code."""

from __future__ import annotations

import importlib
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

import flowrun
from flowrun.errors import FlowrunError

pytestmark = pytest.mark.filterwarnings("default")  # of the libraries

keras: Any = importlib.import_module("keras")
mlflow: Any = importlib.import_module("mlflow")
numpy: Any = importlib.import_module("numpy")
ROWS = numpy.ones((2, 3))


def model_of(*layers: object) -> Any:  # noqa: ANN401 - of Keras
    return keras.Sequential([keras.Input((3,)), *layers])


def saved(folder: Path, *layers: object) -> Path:
    flowrun.keras.save_model(model_of(*layers), folder)
    return folder


def of_another_package(folder: Path) -> Path:
    """Let the last layer of a model say that it is one of another package's."""
    path = folder / "data" / "model.keras"
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(files["config.json"])
    config["config"]["layers"][-1]["module"] = "subprocess"
    files["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return folder


def predicted(folder: Path) -> Any:  # noqa: ANN401 - of NumPy
    return flowrun.pyfunc.load_model(str(folder)).predict(ROWS)


def test_either_tool_does_the_same_with_what_the_other_saved(tmp_path: Path) -> None:
    model = model_of(keras.layers.Dense(4, activation="relu"), keras.layers.Dense(2))
    expected = model.predict(ROWS, verbose=0)
    flowrun.keras.save_model(model, tmp_path / "flowrun")
    mlflow.keras.save_model(model, str(tmp_path / "mlflow"), pip_requirements=[])
    for name in ("flowrun", "mlflow"):
        for tool in (flowrun, mlflow):
            made = tool.pyfunc.load_model(str(tmp_path / name)).predict(ROWS)
            numpy.testing.assert_allclose(made, expected, rtol=1e-5)


def test_layers_that_are_code_are_loaded_only_where_pickles_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = saved(tmp_path / "plain", keras.layers.Dense(2))
    code = saved(tmp_path / "code", keras.layers.Lambda(lambda x: x * 2))
    foreign = of_another_package(saved(tmp_path / "foreign", keras.layers.Dense(1)))
    assert predicted(code).tolist() == [[2, 2, 2]] * 2
    monkeypatch.setenv("FLOWRUN_ALLOW_PICKLE", "false")
    assert predicted(plain).shape == (2, 2)
    for folder, said in ((code, "'Lambda' in"), (foreign, "'subprocess.Dense' in")):
        with pytest.raises(FlowrunError, match=said):
            predicted(folder)
