"""Models of scikit-learn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
    library,
)
from flowrun.models.flavors.estimators import (
    SERIALIZATION_FORMAT_CLOUDPICKLE,
    SERIALIZATION_FORMAT_PICKLE,
    SERIALIZATION_FORMAT_SKOPS,
    read_estimator,
    write_estimator,
)
from flowrun.models.inner_paths import inside
from flowrun.models.loading import load_model_of
from flowrun.models.log import LogOptions, ModelInfo, log
from flowrun.models.saving import SaveOptions, check_options, save

if TYPE_CHECKING:
    import os
    from typing import Unpack

__all__ = [
    "SERIALIZATION_FORMAT_CLOUDPICKLE",
    "SERIALIZATION_FORMAT_PICKLE",
    "SERIALIZATION_FORMAT_SKOPS",
    "autolog",
    "load_model",
    "log_model",
    "save_model",
]

NAME = "sklearn"


class Estimator(Protocol):
    """What every model of scikit-learn has."""

    def get_params(self, deep: bool = True) -> Mapping[str, object]:  # noqa: FBT001, FBT002 - theirs
        """Give its parameters."""


def save_model(
    sk_model: Estimator,
    path: str | os.PathLike[str],
    serialization_format: str | None = None,
    pyfunc_predict_fn: str = "predict",
    skops_trusted_types: Sequence[str] | None = None,
    **options: Unpack[SaveOptions],
) -> None:
    """Write a model into a folder, in MLflow's format.

    Args:
        sk_model: an estimator or pipeline.
        path: the folder, new or empty.
        serialization_format: "skops", "cloudpickle" or "pickle"; if not given, skops if it knows
            all types in the model, else a pickle.
        pyfunc_predict_fn: the method that predicts, such as "predict_proba".
        skops_trusted_types: types of your own that skops may load.
        options: see `SaveOptions`.

    Raises:
        InvalidValueError: the model can't be kept in this format.
    """
    check_options(options, SaveOptions)
    content = _content(sk_model, serialization_format, pyfunc_predict_fn, skops_trusted_types)
    save(content, path, options)


def log_model(
    sk_model: Estimator,
    artifact_path: str | None = None,
    serialization_format: str | None = None,
    pyfunc_predict_fn: str = "predict",
    skops_trusted_types: Sequence[str] | None = None,
    **options: Unpack[LogOptions],
) -> ModelInfo:
    """Save a model on the server, as one of the run in progress; see `save_model`.

    Args:
        sk_model: an estimator or pipeline.
        artifact_path: what MLflow 2 called `name`.
        serialization_format: see `save_model`.
        pyfunc_predict_fn: see `save_model`.
        skops_trusted_types: see `save_model`.
        options: see `LogOptions`.
    """
    content = _content(sk_model, serialization_format, pyfunc_predict_fn, skops_trusted_types)
    return log(content, artifact_path, options)


def load_model(model_uri: str, dst_path: str | os.PathLike[str] | None = None) -> object:
    """Give a model of scikit-learn from any of a model's URIs; see `loading.load_model_of`."""
    return load_model_of(NAME, model_uri, dst_path)


def autolog(**options: Unpack[AutologOptions]) -> None:
    """Log each training of this library from now on; see `flowrun.autolog`."""
    switch.autolog(**options, libraries=(NAME,))


class SklearnFlavor:
    """Loads them."""

    name = NAME
    loader_modules = frozenset({"mlflow.sklearn"})

    def load(self, folder: Path, settings: Settings) -> object:
        """Give the estimator."""
        path = inside(folder, settings.get("pickled_model", "model.pkl"))
        form = str(settings.get("serialization_format", SERIALIZATION_FORMAT_PICKLE))
        version = settings.get("sklearn_version")
        library("sklearn", "scikit-learn", version)
        trusted = settings.get("skops_trusted_types")
        return read_estimator(path, form, trusted, ("scikit-learn", version))

    def predictor(self, model: object, pyfunc: Settings) -> Predict:
        """Give the method that the model was saved with."""
        return _predictor(model, str(pyfunc.get("predict_fn", "predict")))


FLAVOR = SklearnFlavor()


def _content(
    model: Estimator, form: str | None, predict_fn: str, trusted: Sequence[str] | None
) -> Content:
    def write(folder: Path) -> Written:
        sklearn = library("sklearn", "scikit-learn")
        name, chosen, types, modules = write_estimator(model, folder, form, trusted)
        settings: dict[str, object] = {
            "pickled_model": name,
            "serialization_format": chosen,
            "skops_trusted_types": types,
            "sklearn_version": sklearn.__version__,
        }
        pyfunc = {
            "loader_module": "mlflow.sklearn",
            "model_path": name,
            "predict_fn": predict_fn,
        }
        can_predict = hasattr(model, predict_fn)
        needed = frozenset({"sklearn", *modules})
        return Written(NAME, settings, pyfunc if can_predict else None, needed)

    predict = _predictor(model, predict_fn) if hasattr(model, predict_fn) else None
    return Content(NAME, write, predict)


def _predictor(model: object, name: str) -> Predict:
    found: object = None if name.startswith("_") else getattr(model, name, None)
    if not callable(found):
        raise InvalidValueError(f"a {type(model).__name__} has no '{name}' to predict by")
    method: Callable[[object], object] = found

    def predict(data: object, params: Mapping[str, object] | None) -> object:
        del params
        return method(data)

    return predict
