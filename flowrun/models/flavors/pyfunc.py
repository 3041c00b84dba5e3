"""`python_function`: any model as one that predicts, and models of your own making.

Source: MLflow 3.17, mlflow/pyfunc.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from flowrun.errors import InvalidValueError, UnsupportedError
from flowrun.models.enforce import enforce_schema
from flowrun.models.enforce_values import enforce_params
from flowrun.models.example import read_example
from flowrun.models.flavors.backends import BACKENDS, find_flavor, third_parties
from flowrun.models.flavors.base import Flavor, Predict, Settings, library
from flowrun.models.flavors.own import (
    CLASS_LOADER,
    CODE_LOADER,
    OwnModel,
    load_own,
    mapping_of,
    own_content,
    own_predictor,
)
from flowrun.models.inner_paths import inside
from flowrun.models.loading import PYFUNC, Found, find_model, use_code
from flowrun.models.log import LogOptions, ModelInfo, log
from flowrun.models.mlmodel import MlModel
from flowrun.models.python_model import PythonModel, PythonModelContext, call_predict
from flowrun.models.saving import SaveOptions, check_options, save
from flowrun.models.signature import ModelSignature

if TYPE_CHECKING:
    from typing import Unpack

    from flowrun.models.spark_udf import spark_udf

__all__ = [
    "PyFuncModel",
    "PythonModel",
    "PythonModelContext",
    "load_model",
    "log_model",
    "save_model",
    "spark_udf",
]


def __getattr__(name: str) -> object:
    """Load what few need from the module it lives in."""
    if name == "spark_udf":
        return importlib.import_module("flowrun.models.spark_udf").spark_udf
    raise AttributeError(f"module 'flowrun.pyfunc' has no attribute '{name}'")


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

    def predict_enforced(self, data: object, params: Mapping[str, object] | None = None) -> object:
        """Do the same with data that is known to fit the signature."""
        schema = self.signature
        if schema is not None:
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
    content = own_content(loader_module, data_path, python_model, artifacts, model_config)
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
    content = own_content(loader_module, data_path, python_model, artifacts, model_config)
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
    config = {**mapping_of(settings.get("config")), **(model_config or {})}
    if loader in (CLASS_LOADER, CODE_LOADER):
        own, context = load_own(found.folder, settings, config)
        return PyFuncModel(found, own_predictor(own, context), own, own)
    flavor = _flavor_of(loader)
    if flavor is not None:
        model = flavor.load(found.folder, {**settings, **found.settings(flavor.name)})
        return PyFuncModel(found, flavor.predictor(model, settings), model)
    return _load_by_module(found, loader, settings, code, config)


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
    is_named = all(part.isidentifier() for part in loader.split("."))
    is_own = (
        is_named and code is not None and ((code / f"{top}.py").is_file() or (code / top).is_dir())
    )
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
