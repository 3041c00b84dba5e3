"""Models that are files of code: the file is run, and says what its model is."""

from __future__ import annotations

import importlib.util
import sys
import uuid
from pathlib import Path
from types import ModuleType

from flowrun.errors import InvalidValueError

_MODELS: list[object] = []  # what scripts that are being run say
_MLFLOWS = "__mlflow_model__"


def set_model(model: object) -> None:
    """Say, in a file that is a model's code, what the model is.

    Args:
        model: an object of a class derived from `PythonModel`, a function, or what the flavor takes
            that the file is saved with.
    """
    _MODELS.append(model)


def run_script(path: Path) -> object:
    """Run a file of code and give what it says is the model, by flowrun's or MLflow's `set_model`.

    Raises:
        InvalidValueError: it says nothing. Whatever the code raises.
    """
    name = f"flowrun_model_{uuid.uuid4().hex}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InvalidValueError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    before = len(_MODELS)
    _forget_mlflows()
    # Classes of the file look for their module there: dataclasses, the states of a graph.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
        said = _MODELS[before:] or [getattr(_mlflow(), _MLFLOWS, None)]
        if said[-1] is None:
            raise InvalidValueError(
                f"{path} does not say what the model is",
                "Call flowrun.models.set_model(model) in it.",
            )
    except BaseException:
        del sys.modules[name]
        raise
    finally:
        del _MODELS[before:]
    return said[-1]


def _forget_mlflows() -> None:
    """Forget what the file before has said: MLflow keeps it."""
    theirs = _mlflow()
    if theirs is not None:
        setattr(theirs, _MLFLOWS, None)


def _mlflow() -> ModuleType | None:
    return sys.modules.get("mlflow.models.model")
