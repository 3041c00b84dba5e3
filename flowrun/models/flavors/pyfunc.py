"""`python_function`: any model as one that predicts, and models of your own making.

These are a class, a function or a script. Source: MLflow 3.17, mlflow/pyfunc.
"""

from __future__ import annotations

import importlib.util
import io
import os
import pickle
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Union

from flowrun.errors import FlowrunError, InvalidValueError, UnsupportedError
from flowrun.models import python_model as by_value
from flowrun.models.enforce import enforce_params, enforce_schema
from flowrun.models.example import read_example
from flowrun.models.flavors.backends import BACKENDS, find_flavor, third_parties
from flowrun.models.flavors.base import (
    Content,
    Flavor,
    Predict,
    Settings,
    Written,
    damaged,
    inside,
    library,
    refuse_pickle,
)
from flowrun.models.loading import PYFUNC, Found, find_model, use_code
from flowrun.models.log import LogOptions, ModelInfo, log
from flowrun.models.mlmodel import MlModel
from flowrun.models.places import local_copy
from flowrun.models.python_model import (
    FunctionModel,
    PythonModel,
    PythonModelContext,
    call_predict,
)
from flowrun.models.requirements import modules_of_code, modules_of_pickle
from flowrun.models.saving import SaveOptions, check_options, save
from flowrun.models.signature import ModelSignature

if TYPE_CHECKING:
    from typing import Unpack

__all__ = [
    "PyFuncModel",
    "PythonModel",
    "PythonModelContext",
    "load_model",
    "log_model",
    "save_model",
]

OwnModel = Union[PythonModel, Callable[..., object], str, "os.PathLike[str]"]
_PICKLED = "python_model.pkl"
_CLASS_LOADER = "mlflow.pyfunc.model"
_CODE_LOADER = "mlflow.pyfunc.loaders.code_model"
_MODELS_OF_SCRIPT: list[object] = []  # what a script that is being run says is its model


class PyFuncModel:
    """A loaded model that predicts, whatever library it is of."""

    def __init__(
        self, found: Found, predict: Predict, model: object, own: PythonModel | None = None
    ) -> None:
        """Put together what was loaded."""
        self._found = found
        self._predict = predict
        self._model = model
        self._own = own
        said = found.mlmodel.signature
        self.signature = None if said is None else ModelSignature.from_dict(said)

    @property
    def metadata(self) -> MlModel:
        """What the MLmodel file says."""
        return self._found.mlmodel

    @property
    def model_id(self) -> str | None:
        """The logged model that it is."""
        return self._found.mlmodel.model_id

    @property
    def input_example(self) -> object:
        """The data that the model was saved with as an example; None if there is none."""
        info = self._found.mlmodel.raw.get("saved_input_example_info")
        if not isinstance(info, dict):
            return None
        schema = self.signature.inputs if self.signature else None
        return read_example(self._found.folder, info, schema)

    def predict(self, data: object, params: Mapping[str, object] | None = None) -> object:
        """Give what the model makes of data.

        Args:
            data: fits the signature, if the model has one.
            params: what the signature lets be set.

        Raises:
            InvalidValueError: data or params don't fit the signature.
        """
        schema = self.signature
        if schema is not None:
            if schema.inputs is not None:
                data = enforce_schema(data, schema.inputs)
            params = enforce_params(params, schema.params)
        return self._predict(data, params)

    def predict_stream(
        self, data: object, params: Mapping[str, object] | None = None
    ) -> Iterator[object]:
        """Give what a model of your own makes of data, piece by piece."""
        model = self.unwrap_python_model()
        made = call_predict(model.predict_stream, None, data, params)
        yield from made  # type: ignore[misc]  # the user's model gives an iterator

    def get_raw_model(self) -> object:
        """Give the object of its library."""
        return self._model

    def unwrap_python_model(self) -> PythonModel:
        """Give the object that was saved, if it is a class of your own."""
        if self._own is None:
            raise UnsupportedError("the model is none of a Python class: it has nothing to unwrap")
        return self._own

    def __repr__(self) -> str:
        """Show what it is and where it lies."""
        return f"<PyFuncModel {', '.join(self._found.mlmodel.flavors)} in {self._found.folder}>"


def save_model(
    path: str | os.PathLike[str],
    loader_module: str | None = None,
    data_path: str | None = None,
    python_model: OwnModel | None = None,
    artifacts: Mapping[str, str] | None = None,
    model_config: Mapping[str, object] | None = None,
    **options: Unpack[SaveOptions],
) -> None:
    """Write a model of your own into a folder, in MLflow's format.

    Args:
        path: the folder, new or empty.
        loader_module: a module among `code_paths` whose `_load_pyfunc(path)` gives the model.
        data_path: a file or folder that this module reads.
        python_model: instead: an object of a class derived from `PythonModel`, a function, or
            a Python file that calls `set_model`. The file is the safest to keep: it is code that
            can be read.
        artifacts: files and folders, or URIs of models, that are kept with the model, by name.
        model_config: what the model finds in its context.
        options: see `SaveOptions`.
    """
    check_options(options, SaveOptions)
    content = _content(loader_module, data_path, python_model, artifacts, model_config)
    save(content, path, options)


def log_model(
    artifact_path: str | None = None,
    loader_module: str | None = None,
    data_path: str | None = None,
    python_model: OwnModel | None = None,
    artifacts: Mapping[str, str] | None = None,
    model_config: Mapping[str, object] | None = None,
    **options: Unpack[LogOptions],
) -> ModelInfo:
    """Save a model of your own on the server, as one of the run in progress; see `save_model`."""
    content = _content(loader_module, data_path, python_model, artifacts, model_config)
    return log(content, artifact_path, options)


def load_model(
    model_uri: str,
    suppress_warnings: bool = False,  # noqa: FBT001, FBT002 - as in MLflow
    dst_path: str | os.PathLike[str] | None = None,
    model_config: Mapping[str, object] | None = None,
) -> PyFuncModel:
    """Give a model as one that predicts.

    Args:
        model_uri: any of a model's URIs, or a path.
        suppress_warnings: taken for MLflow's sake.
        dst_path: where its files are copied to; else they go away with this process.
        model_config: goes before what the model was saved with.

    Raises:
        NotFoundError: there is no such model. UnsupportedError: it can't predict, or a library is
            missing. PermissionDeniedError: it is a pickle or code, and these are forbidden.
        InvalidValueError: it is damaged.
    """
    del suppress_warnings
    found = find_model(model_uri, dst_path)
    settings = found.settings(PYFUNC)
    code = use_code(found.folder, settings)
    loader = str(settings.get("loader_module", ""))
    config = {**_mapping(settings.get("config")), **(model_config or {})}
    if loader in (_CLASS_LOADER, _CODE_LOADER):
        own, context = _load_own(found.folder, settings, config)
        return PyFuncModel(found, _own_predictor(own, context), own, own)
    flavor = _flavor_of(loader)
    if flavor is not None:
        model = flavor.load(found.folder, {**settings, **found.settings(flavor.name)})
        return PyFuncModel(found, flavor.predictor(model, settings), model)
    return _load_by_module(found, loader, settings, code, config)


def set_model(model: object) -> None:
    """Say, in a file that is a model's code, what the model is.

    Args:
        model: an object of a class derived from `PythonModel`, or a function.
    """
    _MODELS_OF_SCRIPT.append(model)


class PyfuncFlavor:
    """Loads models of your own."""

    name = PYFUNC
    loader_modules = frozenset({_CLASS_LOADER, _CODE_LOADER})

    def load(self, folder: Path, settings: Settings) -> object:
        """Give the object that was saved."""
        return _load_own(folder, settings, _mapping(settings.get("config")))[0]

    def predictor(self, model: object, pyfunc: Settings) -> Predict:
        """Give its `predict`, without what was kept beside it."""
        del pyfunc
        return _own_predictor(_as_model(model), None)


FLAVOR = PyfuncFlavor()


def _content(
    loader_module: str | None,
    data_path: str | None,
    given: OwnModel | None,
    artifacts: Mapping[str, str] | None,
    model_config: Mapping[str, object] | None,
) -> Content:
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
            pyfunc = {"loader_module": _CODE_LOADER, "model_code_path": name, **kept, **config}
            return Written(PYFUNC, {}, pyfunc, frozenset(modules_of_code([folder / name])))
        content, version = _pickled(given)
        (folder / _PICKLED).write_bytes(content)
        pyfunc = {
            "loader_module": _CLASS_LOADER,
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


def _load_own(
    folder: Path, settings: Settings, config: Mapping[str, object]
) -> tuple[PythonModel, PythonModelContext]:
    if settings.get("model_code_path"):
        # MLflow writes the whole path on the machine that it was saved on.
        path = inside(folder, Path(str(settings["model_code_path"])).name)
        refuse_pickle(f"the code in {path}", "Load a model that brings no code.")
        model = _as_model(_run_script(path))
    else:
        model = _unpickled(inside(folder, settings.get("python_model")), settings)
    artifacts = {
        name: str(inside(folder, _mapping(item).get("path")))
        for name, item in _mapping(settings.get("artifacts")).items()
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


def _run_script(path: Path) -> object:
    spec = importlib.util.spec_from_file_location(f"flowrun_model_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise InvalidValueError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    before = len(_MODELS_OF_SCRIPT)
    spec.loader.exec_module(module)
    if len(_MODELS_OF_SCRIPT) > before:
        model = _MODELS_OF_SCRIPT.pop()
        del _MODELS_OF_SCRIPT[before:]
        return model
    return _set_by_mlflow(path)


def _set_by_mlflow(path: Path) -> object:
    """Give what the script said by MLflow's own `set_model`, if it used that."""
    theirs: ModuleType | None = sys.modules.get("mlflow.models.model")
    model: object = getattr(theirs, "__mlflow_model__", None)
    if model is None:
        raise InvalidValueError(
            f"{path} does not say what the model is",
            "Call flowrun.models.set_model(model) in it.",
        )
    return model


def _own_predictor(model: PythonModel, context: PythonModelContext | None) -> Predict:
    def predict(data: object, params: Mapping[str, object] | None) -> object:
        return call_predict(model.predict, context, data, params)

    return predict


def _flavor_of(loader: str) -> Flavor | None:
    """Give the flavor whose models have this loader module."""
    short = loader.rpartition(".")[2]
    if loader == f"mlflow.{short}" and short in BACKENDS:
        return find_flavor(short)
    for flavor in third_parties():
        if loader in flavor.loader_modules:
            return flavor
    return None


def _load_by_module(
    found: Found, loader: str, settings: Settings, code: Path | None, config: Mapping[str, object]
) -> PyFuncModel:
    """Load by a module that came with the model; one from elsewhere is not asked."""
    top = loader.partition(".")[0]
    is_own = code is not None and ((code / f"{top}.py").is_file() or (code / top).is_dir())
    if not is_own:
        raise UnsupportedError(
            f"{found.folder} wants to be loaded by '{loader}', which is neither a flavor here nor "
            "part of the code that was kept with the model",
            "Save it with code_paths, or install the package that brings this flavor.",
        )
    module = library(loader)
    load: Callable[..., object] | None = getattr(module, "_load_pyfunc", None)
    if load is None:
        raise InvalidValueError(f"{found.folder}: '{loader}' has no function _load_pyfunc")
    data = inside(found.folder, settings["data"]) if "data" in settings else found.folder
    model = load(str(data), config) if config else load(str(data))
    method: Callable[..., object] = getattr(model, str(settings.get("predict_fn", "predict")))

    def predict(data: object, params: Mapping[str, object] | None) -> object:
        return call_predict(method, None, data, params)

    return PyFuncModel(found, predict, model)


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}
