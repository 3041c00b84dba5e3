"""Loads what flowrun saved and saves the same models, with MLflow as it is released.

Below a folder, it reads `flowrun/NAME` and writes `mlflow/NAME`, and predictions of both to
`predictions.json`.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import mlflow

from tests.models.cases import CASES, plain, table


def theirs_twice(model_input: Any) -> Any:  # noqa: ANN401 - of pandas
    """Give twice the column."""
    return model_input["a"] * 2


def main(folder: Path) -> None:
    """Do both for all cases."""
    said: dict[str, object] = {}
    sys.modules["flowrun"] = None  # type: ignore[assignment]  # what it saved must load without it
    for place in (folder / "own").iterdir():
        said[place.name] = plain(mlflow.pyfunc.load_model(str(place)).predict(table()))
    mlflow.pyfunc.save_model(folder / "function", python_model=theirs_twice, pip_requirements=[])
    for name, case in CASES.items():
        theirs = mlflow.pyfunc.load_model(str(folder / "flowrun" / name))
        flavor = importlib.import_module(f"mlflow.{case.flavor}")
        flavor.load_model(str(folder / "flowrun" / name))
        saved = folder / "mlflow" / name
        # With requirements given, MLflow starts no process to find them out.
        needs = ["scikit-learn"]
        data = case.data()
        flavor.save_model(
            case.make(), saved, input_example=data, pip_requirements=needs, **case.options
        )
        own = mlflow.pyfunc.load_model(str(saved))
        said[name] = {
            "saved by flowrun": plain(theirs.predict(data)),
            "saved by mlflow": plain(own.predict(data)),
            "example": plain(theirs.input_example),
        }
    (folder / "predictions.json").write_text(json.dumps(said))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
