"""What in a model of Keras is code, where Keras and PyTorch are: too heavy for CI.

uv venv hand && uv pip install --python hand/bin/python keras torch pandas
KERAS_BACKEND=torch PYTHONPATH=. hand/bin/python -m tests.models.by_hand.layers
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import flowrun
from flowrun.errors import FlowrunError

keras = importlib.import_module("keras")
numpy = importlib.import_module("numpy")


def saved(folder: Path, *layers: Any) -> str:  # noqa: ANN401 - of Keras
    """Save a model of these layers."""
    model = keras.Sequential([keras.Input((3,)), *layers])
    flowrun.keras.save_model(model, folder)
    return str(folder)


def with_module(folder: str, module: str) -> str:
    """Let a layer say that it is of another package."""
    path = Path(folder) / "data" / "model.keras"
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(files["config.json"])
    config["config"]["layers"][-1]["module"] = module
    files["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return folder


def refused(folder: str) -> str:
    """Give why a model is not loaded."""
    try:
        flowrun.pyfunc.load_model(folder)
    except FlowrunError as error:
        return str(error)
    raise AssertionError(f"loaded {folder}")


def predicted(folder: str) -> Any:  # noqa: ANN401 - of Keras
    """Give what a model makes of ones."""
    made: Any = flowrun.pyfunc.load_model(folder).predict(numpy.ones((1, 3)))
    return made.tolist()


def main() -> None:
    """Do all of it."""
    folder = Path(tempfile.mkdtemp())
    try:
        plain = saved(folder / "plain", keras.layers.Dense(2))
        code = saved(folder / "code", keras.layers.Lambda(lambda x: x * 2))
        foreign = with_module(saved(folder / "foreign", keras.layers.Dense(1)), "subprocess")
        assert predicted(code) == [[2, 2, 2]]
        os.environ["FLOWRUN_ALLOW_PICKLE"] = "false"  # noqa: TID251 - as a user
        assert len(predicted(plain)[0]) == 2
        assert "'Lambda' in" in refused(code)
        assert "'subprocess.Dense' in" in refused(foreign)
        print("refused:", refused(code), refused(foreign), sep="\n")  # noqa: T201
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
