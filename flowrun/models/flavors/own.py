"""Models of one's own: an object of a class, a function, a script, or a loader with its data.

Source: MLflow 3.17, mlflow/pyfunc/model.py.
"""

from __future__ import annotations

import io
import os
import pickle
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Union

from flowrun.errors import FlowrunError, InvalidValueError
from flowrun.models import python_model as by_value
from flowrun.models.flavors.base import (
    Content,
    Predict,
    Settings,
    Written,
    damaged,
    library,
    refuse_pickle,
)
from flowrun.models.flavors.scripts import run_script
from flowrun.models.inner_paths import inside
from flowrun.models.loading import PYFUNC
from flowrun.models.places import local_copy
from flowrun.models.python_model import (
    FunctionModel,
    PythonModel,
    PythonModelContext,
    call_predict,
)
from flowrun.models.requirements import modules_of_code, modules_of_pickle

OwnModel = Union[PythonModel, Callable[..., object], str, "os.PathLike[str]"]
CLASS_LOADER = "mlflow.pyfunc.model"
CODE_LOADER = "mlflow.pyfunc.loaders.code_model"
_PICKLED = "python_model.pkl"


class PyfuncFlavor:
    """Loads models of your own."""

    name = PYFUNC
    loader_modules = frozenset({CLASS_LOADER, CODE_LOADER})

    def load(self, folder: Path, settings: Settings) -> object:
        """Give the object that was saved."""
        return load_own(folder, settings, mapping_of(settings.get("config")))[0]

    def predictor(self, model: object, pyfunc: Settings) -> Predict:
        """Give its `predict`, without what was kept beside it."""
        del pyfunc
        return own_predictor(_as_model(model), None)


FLAVOR = PyfuncFlavor()


def own_content(
    loader_module: str | None,
    data_path: str | None,
    given: OwnModel | None,
    artifacts: Mapping[str, str] | None,
    model_config: Mapping[str, object] | None,
) -> Content:
    """Give a model of one's own as it is to be saved; the arguments are those of `save_model`.

    Raises:
        InvalidValueError: it is neither an object, a function or a file, nor a loader module.
    """
    if (loader_module is None) == (given is None):
        raise InvalidValueError(
            "a model is either `python_model` (an object, a function or a file), or a "
            "`loader_module` with its `data_path`"
        )
    config = {"config": dict(model_config)} if model_config else {}

    def write(folder: Path) -> Written:
        if loader_module is not None:
            pyfunc = {"loader_module": loader_module, **_keep_data(data_path, folder), **config}
            return Written(PYFUNC, {}, pyfunc, frozenset())
        kept = _keep_artifacts(artifacts, folder)
        if isinstance(given, (str, os.PathLike)):
            name = Path(given).name
            shutil.copyfile(given, folder / name)
            pyfunc = {"loader_module": CODE_LOADER, "model_code_path": name, **kept, **config}
            return Written(PYFUNC, {}, pyfunc, frozenset(modules_of_code([folder / name])))
        content, version = _pickled(given)
        (folder / _PICKLED).write_bytes(content)
        pyfunc = {
            "loader_module": CLASS_LOADER,
            "python_model": _PICKLED,
            "cloudpickle_version": version,
            **kept,
            **config,
        }
        modules = frozenset({"cloudpickle", *modules_of_pickle(content)})
        return Written(PYFUNC, {}, pyfunc, modules)

    return Content(PYFUNC, write, _early_predictor(given, artifacts, model_config))


def _early_predictor(
    given: OwnModel | None,
    artifacts: Mapping[str, str] | None,
    model_config: Mapping[str, object] | None,
) -> Predict | None:
    """Give how the model predicts before it is saved; it has to see its files where they are."""
    if given is None or isinstance(given, (str, os.PathLike)):
        return None
    model = _as_model(given)

    def predict(data: object, params: Mapping[str, object] | None) -> object:
        context = PythonModelContext(dict(artifacts or {}), model_config)
        model.load_context(context)
        return call_predict(model.predict, context, data, params)

    return predict


def _as_model(given: object) -> PythonModel:
    if isinstance(given, PythonModel):
        return given
    if hasattr(given, "predict") and hasattr(given, "load_context"):
        return given  # type: ignore[return-value]  # one of MLflow's
    if callable(given):
        return FunctionModel(given)
    raise InvalidValueError(
        f"python_model is a {type(given).__name__}: neither a PythonModel nor a function"
    )


def _pickled(given: object) -> tuple[bytes, str]:
    cloudpickle = library("cloudpickle")
    buffer = io.BytesIO()
    # The base class goes with the model, so that it can be loaded where flowrun is not.
    cloudpickle.register_pickle_by_value(by_value)
    try:
        cloudpickle.dump(_as_model(given), buffer, protocol=pickle.DEFAULT_PROTOCOL)
    except FlowrunError:
        raise
    except Exception as error:
        raise InvalidValueError(
            f"Failed to serialize Python model: {error}",
            "Give the file that makes it as python_model, and call flowrun.models.set_model there.",
        ) from error
    finally:
        cloudpickle.unregister_pickle_by_value(by_value)
    return buffer.getvalue(), str(cloudpickle.__version__)


def _keep_data(data_path: str | None, folder: Path) -> dict[str, object]:
    if data_path is None:
        return {}
    source = Path(data_path)
    target = folder / "data" / source.name
    target.parent.mkdir(exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)
    return {"data": f"data/{source.name}"}


def _keep_artifacts(artifacts: Mapping[str, str] | None, folder: Path) -> dict[str, object]:
    kept: dict[str, object] = {}
    for number, (name, uri) in enumerate((artifacts or {}).items()):
        source = Path(uri) if Path(uri).exists() else local_copy(uri)
        place = f"artifacts/{source.name}"
        if (folder / place).exists():
            place = f"artifacts/{number}/{source.name}"
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, folder / place)
        else:
            shutil.copyfile(source, folder / place)
        kept[name] = {"path": place, "uri": uri}
    return {"artifacts": kept} if kept else {}


def load_own(
    folder: Path, settings: Settings, config: Mapping[str, object]
) -> tuple[PythonModel, PythonModelContext]:
    """Give the object that was saved, and what it gets beside the data.

    Raises:
        PermissionDeniedError: it is a pickle or code, and these are forbidden.
        InvalidValueError: it is damaged.
    """
    if settings.get("model_code_path"):
        # MLflow writes the whole path on the machine that it was saved on.
        path = inside(folder, Path(str(settings["model_code_path"])).name)
        refuse_pickle(f"the code in {path}", "Load a model that brings no code.")
        model = _as_model(run_script(path))
    else:
        model = _unpickled(inside(folder, settings.get("python_model")), settings)
    artifacts = {
        name: str(inside(folder, mapping_of(item).get("path")))
        for name, item in mapping_of(settings.get("artifacts")).items()
    }
    context = PythonModelContext(artifacts, config)
    model.load_context(context)
    return model, context


def _unpickled(path: Path, settings: Settings) -> PythonModel:
    refuse_pickle(f"the pickle {path}", "Save the model as a file of code (python_model='x.py').")
    cloudpickle = library("cloudpickle", None, settings.get("cloudpickle_version"))
    try:
        with path.open("rb") as file:
            return _as_model(cloudpickle.load(file))
    except ModuleNotFoundError as error:
        library(error.name or "?")
        raise
    except Exception as error:
        raise damaged(path, error, "cloudpickle", settings.get("cloudpickle_version")) from error


def own_predictor(model: PythonModel, context: PythonModelContext | None) -> Predict:
    """Give its `predict`, called with as much as it takes."""

    def predict(data: object, params: Mapping[str, object] | None) -> object:
        return call_predict(model.predict, context, data, params)

    return predict


def mapping_of(value: object) -> Mapping[str, object]:
    """Give a mapping of an MLmodel file; an empty one if there is none."""
    return value if isinstance(value, dict) else {}
