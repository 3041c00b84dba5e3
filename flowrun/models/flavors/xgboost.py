"""Models of XGBoost, boosters and estimators: kept in its own format (UBJSON, or JSON)."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from flowrun.errors import InvalidValueError
from flowrun.models.autolog import switch
from flowrun.models.autolog.switch import AutologOptions
from flowrun.models.flavors.base import (
    Content,
    Predict,
    Settings,
    Written,
    damaged,
    library,
)
from flowrun.models.flavors.classes import class_of, full_name
from flowrun.models.inner_paths import inside
from flowrun.models.loading import load_model_of
from flowrun.models.log import LogOptions, ModelInfo, log
from flowrun.models.saving import SaveOptions, check_options, save

if TYPE_CHECKING:
    import os
    from typing import Unpack

NAME = "xgboost"
_BOOSTER = "xgboost.core.Booster"


class XgbModel(Protocol):
    """A `Booster`, or an estimator such as `XGBClassifier`."""

    def save_model(self, fname: str) -> None:
        """Write it; the ending of the name says in which format."""

    def load_model(self, fname: str) -> None:
        """Read it."""

    def predict(self, data: object, **how: object) -> object:
        """Predict."""


def save_model(
    xgb_model: XgbModel,
    path: str | os.PathLike[str],
    model_format: str = "ubj",
    **options: Unpack[SaveOptions],
) -> None:
    """Write a model into a folder, in MLflow's format.

    Args:
        xgb_model: a booster or an estimator.
        path: the folder, new or empty.
        model_format: "ubj" or "json".
        options: see `SaveOptions`.
    """
    check_options(options, SaveOptions)
    save(_content(xgb_model, model_format), path, options)


def log_model(
    xgb_model: XgbModel,
    artifact_path: str | None = None,
    model_format: str = "ubj",
    **options: Unpack[LogOptions],
) -> ModelInfo:
    """Save a model on the server, as one of the run in progress; see `save_model`."""
    return log(_content(xgb_model, model_format), artifact_path, options)


def load_model(model_uri: str, dst_path: str | os.PathLike[str] | None = None) -> object:
    """Give a booster or an estimator, as it was saved; see `loading.load_model_of`."""
    return load_model_of(NAME, model_uri, dst_path)


def autolog(**options: Unpack[AutologOptions]) -> None:
    """Log each training of this library from now on; see `flowrun.autolog`."""
    switch.autolog(**options, libraries=(NAME,))


class XgboostFlavor:
    """Loads them."""

    name = NAME
    loader_modules = frozenset({"mlflow.xgboost"})

    def load(self, folder: Path, settings: Settings) -> object:
        """Give the booster or estimator."""
        version = settings.get("xgb_version")
        xgboost = library("xgboost", None, version)
        path = inside(folder, settings.get("data", "model.xgb"))
        kind = class_of(str(settings.get("model_class", _BOOSTER)), "xgboost")
        if not hasattr(kind, "load_model"):
            raise InvalidValueError(f"{folder}: a '{kind.__name__}' of XGBoost is no model")
        try:
            model: XgbModel = kind()
            model.load_model(str(path))
        except (xgboost.core.XGBoostError, ValueError, TypeError) as error:
            raise damaged(path, error, "xgboost", version) from error
        return model

    def predictor(self, model: object, pyfunc: Settings) -> Predict:
        """Give how it predicts from a table or an array."""
        del pyfunc
        return _predictor(model)  # type: ignore[arg-type]  # what `load` gave


FLAVOR = XgboostFlavor()


def _content(model: XgbModel, model_format: str) -> Content:
    if model_format not in ("ubj", "json", "deprecated"):
        raise InvalidValueError(f"model_format is 'ubj' or 'json', not '{model_format}'")

    def write(folder: Path) -> Written:
        name = f"model.{model_format}"
        model.save_model(str(folder / name))
        settings = {
            "data": name,
            "model_class": full_name(model),
            "model_format": model_format,
            "xgb_version": library("xgboost").__version__,
        }
        pyfunc = {"loader_module": "mlflow.xgboost", "data": name}
        is_estimator = settings["model_class"] != _BOOSTER
        modules = {"xgboost", "sklearn"} if is_estimator else {"xgboost"}
        return Written(NAME, settings, pyfunc, frozenset(modules))

    return Content(NAME, write, _predictor(model))


def _predictor(model: XgbModel) -> Predict:
    xgboost = library("xgboost")
    known = set(inspect.signature(model.predict).parameters)

    def predict(data: object, params: Mapping[str, object] | None) -> object:
        how = {name: value for name, value in (params or {}).items() if name in known}
        is_booster = isinstance(model, xgboost.Booster)
        return model.predict(xgboost.DMatrix(data) if is_booster else data, **how)

    return predict
