"""Models of Keras 3, whatever it runs on (TensorFlow, PyTorch or JAX): kept in its own format."""

from __future__ import annotations

import importlib
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from flowrun.errors import InvalidValueError, UnsupportedError
from flowrun.models.arrays import is_frame
from flowrun.models.autolog import switch
from flowrun.models.autolog.switch import AutologOptions
from flowrun.models.flavors.base import (
    Content,
    Predict,
    Settings,
    Written,
    damaged,
    library,
    refuse_pickle,
)
from flowrun.models.inner_paths import check_archive, inside
from flowrun.models.loading import load_model_of
from flowrun.models.log import LogOptions, ModelInfo, log
from flowrun.models.saving import SaveOptions, check_options, save

if TYPE_CHECKING:
    import os
    from typing import Unpack

NAME = "keras"
_DATA = "data"
_FILE = "model.keras"
_CODE = frozenset({"Lambda", "TorchModuleWrapper", "__lambda__"})
_ITS_OWN = frozenset({"keras", "builtins"})
_MAX_CONFIG_BYTES = 100_000_000


class KerasModel(Protocol):
    """A `keras.Model`."""

    def save(self, filepath: str) -> None:
        """Write it."""

    def predict(self, data: object, /, *, verbose: int) -> object:
        """Predict."""


def save_model(
    model: KerasModel, path: str | os.PathLike[str], **options: Unpack[SaveOptions]
) -> None:
    """Write a model into a folder, in MLflow's format.

    Args:
        model: the model.
        path: the folder, new or empty.
        options: see `SaveOptions`.
    """
    check_options(options, SaveOptions)
    save(_content(model), path, options)


def log_model(
    model: KerasModel, artifact_path: str | None = None, **options: Unpack[LogOptions]
) -> ModelInfo:
    """Save a model on the server, as one of the run in progress; see `save_model`."""
    return log(_content(model), artifact_path, options)


def load_model(model_uri: str, dst_path: str | os.PathLike[str] | None = None) -> object:
    """Give a model of Keras; see `loading.load_model_of`."""
    return load_model_of(NAME, model_uri, dst_path)


def autolog(**options: Unpack[AutologOptions]) -> None:
    """Log each training of this library from now on; see `flowrun.autolog`."""
    switch.autolog(**options, libraries=(NAME,))


class KerasFlavor:
    """Loads them."""

    name = NAME
    loader_modules = frozenset({"mlflow.keras"})

    def load(self, folder: Path, settings: Settings) -> object:
        """Give the model. Layers of code (Lambda) are loaded only where pickles are."""
        if settings.get("save_exported_model"):
            raise UnsupportedError(
                f"{folder} holds a SavedModel of TensorFlow", "Save it in Keras' own format."
            )
        version = settings.get("keras_version")
        keras = library("keras", None, version)
        path = inside(folder, f"{settings.get('data', _DATA)}/{_FILE}")
        check_archive(path)
        code = sorted(set(_code_in(_config(path))))
        if code:
            refuse_pickle(f"'{code[0]}' in {path}", "Use layers of Keras that hold no code.")
        try:
            model: object = keras.saving.load_model(str(path), safe_mode=not code)
        except Exception as error:
            raise damaged(path, error, "keras", version) from error
        return model

    def predictor(self, model: object, pyfunc: Settings) -> Predict:
        """Give how it predicts: a table from a table, an array from an array."""
        del pyfunc
        return _predictor(model)  # type: ignore[arg-type]  # what `load` gave


FLAVOR = KerasFlavor()


def _content(model: KerasModel) -> Content:
    def write(folder: Path) -> Written:
        keras = library("keras")
        (folder / _DATA).mkdir()
        (folder / _DATA / "keras_module.txt").write_text("keras", encoding="utf-8")
        model.save(str(folder / _DATA / _FILE))
        backend = str(keras.backend.backend())
        settings = {
            "data": _DATA,
            "keras_backend": backend,
            "keras_version": keras.__version__,
            "save_exported_model": False,
        }
        pyfunc = {"loader_module": "mlflow.keras"}
        return Written(NAME, settings, pyfunc, frozenset({"keras", backend}))

    return Content(NAME, write, _predictor(model))


def _config(path: Path) -> object:
    """Give what the file says of the model's layers."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo("config.json").file_size > _MAX_CONFIG_BYTES:
                raise ValueError("config.json is too big")
            config: object = json.loads(archive.read("config.json"))
    except (zipfile.BadZipFile, KeyError, OSError, ValueError, RecursionError) as error:
        raise damaged(path, error, "keras", None) from error
    return config


def _code_in(config: object) -> Iterator[str]:
    """Give the layers that are pickled functions or modules, and classes of other packages."""
    if isinstance(config, dict):
        name, module = str(config.get("class_name")), config.get("module")
        if name in _CODE:
            yield name
        elif isinstance(module, str) and module.partition(".")[0] not in _ITS_OWN:
            yield f"{module}.{name}"
    inner = config.values() if isinstance(config, dict) else config
    if isinstance(config, (dict, list)):
        for each in inner:  # type: ignore[attr-defined]  # of a dict or a list
            yield from _code_in(each)


def _predictor(model: KerasModel) -> Predict:
    def predict(data: object, params: Mapping[str, object] | None) -> object:
        del params
        if not is_frame(data):
            return model.predict(data, verbose=0)
        made = model.predict(data.to_numpy(), verbose=0)
        try:
            frame: object = importlib.import_module("pandas").DataFrame(made, index=data.index)
        except ValueError as error:
            raise InvalidValueError(f"what the model gives makes no table: {error}") from error
        return frame

    return predict
