"""Models of LightGBM: boosters in its own text format, estimators by skops or as a pickle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

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
from flowrun.models.flavors.classes import full_name
from flowrun.models.flavors.estimators import read_estimator, write_estimator
from flowrun.models.inner_paths import inside
from flowrun.models.loading import load_model_of
from flowrun.models.log import LogOptions, ModelInfo, log
from flowrun.models.saving import SaveOptions, check_options, save

if TYPE_CHECKING:
    import os
    from typing import Unpack

NAME = "lightgbm"
_BOOSTER = "lightgbm.basic.Booster"


class LgbModel(Protocol):
    """A `Booster`, or an estimator such as `LGBMClassifier`."""

    def predict(self, data: object, /) -> object:
        """Predict."""


def save_model(
    lgb_model: LgbModel,
    path: str | os.PathLike[str],
    serialization_format: str | None = None,
    skops_trusted_types: Sequence[str] | None = None,
    **options: Unpack[SaveOptions],
) -> None:
    """Write a model into a folder, in MLflow's format.

    Args:
        lgb_model: a booster or an estimator.
        path: the folder, new or empty.
        serialization_format: of an estimator, as for scikit-learn.
        skops_trusted_types: of an estimator, as for scikit-learn.
        options: see `SaveOptions`.
    """
    check_options(options, SaveOptions)
    save(_content(lgb_model, serialization_format, skops_trusted_types), path, options)


def log_model(
    lgb_model: LgbModel,
    artifact_path: str | None = None,
    serialization_format: str | None = None,
    skops_trusted_types: Sequence[str] | None = None,
    **options: Unpack[LogOptions],
) -> ModelInfo:
    """Save a model on the server, as one of the run in progress; see `save_model`."""
    content = _content(lgb_model, serialization_format, skops_trusted_types)
    return log(content, artifact_path, options)


def load_model(model_uri: str, dst_path: str | os.PathLike[str] | None = None) -> object:
    """Give a booster or an estimator, as it was saved; see `loading.load_model_of`."""
    return load_model_of(NAME, model_uri, dst_path)


def autolog(**options: Unpack[AutologOptions]) -> None:
    """Log each training of this library from now on; see `flowrun.autolog`."""
    switch.autolog(**options, libraries=(NAME,))


class LightgbmFlavor:
    """Loads them."""

    name = NAME
    loader_modules = frozenset({"mlflow.lightgbm"})

    def load(self, folder: Path, settings: Settings) -> object:
        """Give the booster or estimator."""
        version = settings.get("lgb_version")
        lightgbm = library("lightgbm", None, version)
        path = inside(folder, settings.get("data", "model.lgb"))
        if settings.get("model_class", _BOOSTER) != _BOOSTER:
            form = str(settings.get("serialization_format", "cloudpickle"))
            trusted = settings.get("skops_trusted_types")
            return read_estimator(path, form, trusted, ("lightgbm", version))
        try:
            model: object = lightgbm.Booster(model_file=str(path))
        except lightgbm.basic.LightGBMError as error:
            raise damaged(path, error, "lightgbm", version) from error
        return model

    def predictor(self, model: object, pyfunc: Settings) -> Predict:
        """Give how it predicts from a table or an array."""
        del pyfunc
        return _predictor(model)  # type: ignore[arg-type]  # what `load` gave


FLAVOR = LightgbmFlavor()


def _content(model: LgbModel, form: str | None, trusted: Sequence[str] | None) -> Content:
    def write(folder: Path) -> Written:
        lightgbm = library("lightgbm")
        settings: dict[str, object] = {
            "lgb_version": lightgbm.__version__,
            "model_class": full_name(model),
        }
        modules = {"lightgbm"}
        if isinstance(model, lightgbm.Booster):
            settings["data"] = "model.lgb"
            model.save_model(str(folder / "model.lgb"))
        else:
            name, chosen, types, needed = write_estimator(model, folder, form, trusted)
            settings["data"] = name
            settings["serialization_format"] = chosen
            settings["skops_trusted_types"] = types
            modules |= {"sklearn", *needed}
        pyfunc = {"loader_module": "mlflow.lightgbm", "data": settings["data"]}
        return Written(NAME, settings, pyfunc, frozenset(modules))

    return Content(NAME, write, _predictor(model))


def _predictor(model: LgbModel) -> Predict:
    def predict(data: object, params: Mapping[str, object] | None) -> object:
        del params
        return model.predict(data)

    return predict
