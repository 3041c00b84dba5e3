"""Models of CatBoost: kept in its own format."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from flowrun.errors import InvalidValueError
from flowrun.models.flavors.base import (
    Content,
    Predict,
    Settings,
    Written,
    damaged,
    library,
)
from flowrun.models.inner_paths import inside
from flowrun.models.loading import load_model_of
from flowrun.models.log import LogOptions, ModelInfo, log
from flowrun.models.saving import SaveOptions, check_options, save

if TYPE_CHECKING:
    import os
    from typing import Unpack

NAME = "catboost"
_FILE = "model.cb"
_CLASSES = frozenset({"CatBoost", "CatBoostClassifier", "CatBoostRegressor", "CatBoostRanker"})


class CatModel(Protocol):
    """A `CatBoost`, or an estimator such as `CatBoostClassifier`."""

    def save_model(self, fname: str, format: str) -> None:  # noqa: A002 - theirs
        """Write it."""

    def load_model(self, fname: str, format: str) -> object:  # noqa: A002 - theirs
        """Read it."""

    def predict(self, data: object) -> object:
        """Predict."""


def save_model(
    cb_model: CatModel,
    path: str | os.PathLike[str],
    format: str = "cbm",  # noqa: A002 - as in MLflow
    **options: Unpack[SaveOptions],
) -> None:
    """Write a model into a folder, in MLflow's format.

    Args:
        cb_model: a CatBoost model.
        path: the folder, new or empty.
        format: "cbm", "json" or another that CatBoost reads again.
        options: see `SaveOptions`.
    """
    check_options(options, SaveOptions)
    save(_content(cb_model, format), path, options)


def log_model(
    cb_model: CatModel,
    artifact_path: str | None = None,
    format: str = "cbm",  # noqa: A002 - as in MLflow
    **options: Unpack[LogOptions],
) -> ModelInfo:
    """Save a model on the server, as one of the run in progress; see `save_model`."""
    return log(_content(cb_model, format), artifact_path, options)


def load_model(model_uri: str, dst_path: str | os.PathLike[str] | None = None) -> object:
    """Give a CatBoost model of the class it was saved with; see `loading.load_model_of`."""
    return load_model_of(NAME, model_uri, dst_path)


class CatboostFlavor:
    """Loads them."""

    name = NAME
    loader_modules = frozenset({"mlflow.catboost"})

    def load(self, folder: Path, settings: Settings) -> object:
        """Give the model."""
        version = settings.get("catboost_version")
        catboost = library("catboost", None, version)
        path = inside(folder, settings.get("data", _FILE))
        kind = str(settings.get("model_type", "CatBoost"))
        if kind not in _CLASSES:
            raise InvalidValueError(f"{folder}: 'model_type' is no class of CatBoost: {kind}")
        model: CatModel = getattr(catboost, kind)()
        try:
            model.load_model(str(path), format=str(settings.get("save_format", "cbm")))
        except catboost.CatBoostError as error:
            raise damaged(path, error, "catboost", version) from error
        return model

    def predictor(self, model: object, pyfunc: Settings) -> Predict:
        """Give how it predicts from a table or an array."""
        del pyfunc
        return _predictor(model)  # type: ignore[arg-type]  # what `load` gave


FLAVOR = CatboostFlavor()


def _content(model: CatModel, form: str) -> Content:
    def write(folder: Path) -> Written:
        model.save_model(str(folder / _FILE), format=form)
        settings = {
            "catboost_version": library("catboost").__version__,
            "data": _FILE,
            "model_type": type(model).__name__,
            "save_format": form,
        }
        pyfunc = {"loader_module": "mlflow.catboost", "data": _FILE}
        return Written(NAME, settings, pyfunc, frozenset({"catboost"}))

    return Content(NAME, write, _predictor(model))


def _predictor(model: CatModel) -> Predict:
    def predict(data: object, params: Mapping[str, object] | None) -> object:
        del params
        return model.predict(data)

    return predict
