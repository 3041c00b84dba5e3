"""Models of scikit-learn: kept by skops where it can, else as a pickle.

skops reads a file without running code of it. What it holds beside plain data must be of types
that somebody vouches for: skops for most, this module for those of the libraries themselves, the
user for his own.
"""

from __future__ import annotations

import io
import pickle
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from flowrun.errors import InvalidValueError, PermissionDeniedError
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
from flowrun.models.requirements import modules_of_pickle, modules_of_skops
from flowrun.models.saving import SaveOptions, check_options, save
from flowrun.tracking.light_session import is_pickle_allowed

if TYPE_CHECKING:
    import os
    from typing import Unpack

NAME = "sklearn"
SERIALIZATION_FORMAT_SKOPS = "skops"
SERIALIZATION_FORMAT_CLOUDPICKLE = "cloudpickle"
SERIALIZATION_FORMAT_PICKLE = "pickle"
_FORMATS = ("skops", "cloudpickle", "pickle")
_LIBRARIES = frozenset({"sklearn", "numpy", "scipy", "lightgbm", "xgboost", "catboost"})
SAFE_TYPES = frozenset(
    {
        "sklearn.tree._tree.Tree",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        *("lightgbm.basic.Booster", "lightgbm.sklearn.LGBMClassifier"),
        *("lightgbm.sklearn.LGBMRegressor", "lightgbm.sklearn.LGBMRanker"),
        "lightgbm.sklearn.LGBMModel",
        *("collections.OrderedDict", "collections.defaultdict"),
        *("numpy.dtype", "numpy.random._pickle.__randomstate_ctor"),
    }
)
"""Types that hold data only, so that they are loaded also where pickles are forbidden. A tree that
somebody made up can crash the process, but runs no code of his."""


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


def write_estimator(
    model: object, folder: Path, form: str | None, trusted: Sequence[str] | None
) -> tuple[str, str, list[str] | None, set[str]]:
    """Write an estimator into a file.

    Args:
        model: the estimator.
        folder: where.
        form: one of the formats; None: skops if it can.
        trusted: types that the user vouches for.

    Returns:
        The file's name, the format, the types that skops has to trust, the modules it needs.
    """
    if form not in (None, *_FORMATS):
        raise InvalidValueError(
            f"Unrecognized serialization format: {form}. Please specify one of the following "
            f"supported formats: {list(_FORMATS)}."
        )
    if form in (None, SERIALIZATION_FORMAT_SKOPS):
        reason = None
        try:
            return _write_skops(model, folder / "model.skops", trusted)
        except InvalidValueError as error:
            if form is not None:
                raise
            reason = error.message
        warnings.warn(
            f"{reason}; it is kept as a pickle, which can run any code when it is loaded",
            stacklevel=6,
        )
    content, form = _pickled(model, form)
    (folder / "model.pkl").write_bytes(content)
    extra = {"cloudpickle"} if form == SERIALIZATION_FORMAT_CLOUDPICKLE else set()
    return "model.pkl", form, None, modules_of_pickle(content) | extra


def read_estimator(
    path: Path, form: str, trusted: object, saved_with: tuple[str, object]
) -> object:
    """Read what `write_estimator` or MLflow wrote.

    Args:
        path: the file.
        form: the format.
        trusted: types that the model's own file says skops may load.
        saved_with: package and version, for the message if it fails.
    """
    if form == SERIALIZATION_FORMAT_SKOPS:
        return _read_skops(path, trusted, saved_with)
    if form not in _FORMATS:
        raise InvalidValueError(f"{path}: the serialization format '{form}' is not known")
    refuse_pickle(f"the pickle {path}", "Save the model again with serialization_format='skops'.")
    if form == SERIALIZATION_FORMAT_CLOUDPICKLE:
        library("cloudpickle")
    try:
        with path.open("rb") as file:
            model: object = pickle.load(file)  # noqa: S301 - allowed, as asked above
    except ModuleNotFoundError as error:
        library(error.name or "?")
        raise
    except Exception as error:
        raise damaged(path, error, *saved_with) from error
    return model


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


def _write_skops(
    model: object, path: Path, trusted: Sequence[str] | None
) -> tuple[str, str, list[str] | None, set[str]]:
    try:
        skops = library("skops.io", "skops")
        content: bytes = skops.dumps(model)
        found = set(skops.get_untrusted_types(data=content))
    except Exception as error:
        raise InvalidValueError(f"skops can't keep this {type(model).__name__}: {error}") from error
    vouched = {name for name in found if name.partition(".")[0] in _LIBRARIES}
    unknown = sorted(found - vouched - SAFE_TYPES - set(trusted or ()))
    if unknown:
        raise InvalidValueError(
            f"this {type(model).__name__} holds types that skops loads only if you vouch for them "
            f"(skops_trusted_types): {', '.join(unknown)}"
        )
    path.write_bytes(content)
    return (
        path.name,
        SERIALIZATION_FORMAT_SKOPS,
        sorted(found) or None,
        {
            "skops",
            *modules_of_skops(path),
        },
    )


def _read_skops(path: Path, said: object, saved_with: tuple[str, object]) -> object:
    skops = library("skops.io", "skops")
    check_archive(path)
    listed = {str(name) for name in said} if isinstance(said, (list, tuple)) else set()
    # Where pickles are forbidden, what a model says of itself is worth nothing.
    types = listed if is_pickle_allowed() else listed & SAFE_TYPES
    try:
        try:
            model: object = skops.load(path, trusted=sorted(types))
        except skops.exceptions.UntrustedTypesFoundException:
            # Not at once: each type that skops is told of makes it slower.
            model = skops.load(path, trusted=sorted(types | SAFE_TYPES))
    except skops.exceptions.UntrustedTypesFoundException as error:
        raise PermissionDeniedError(
            f"{path}: {error}",
            "If you trust them, save the model again with skops_trusted_types, and load it where "
            "FLOWRUN_ALLOW_PICKLE does not forbid it.",
        ) from error
    except Exception as error:
        raise damaged(path, error, *saved_with) from error
    return model


def _pickled(model: object, form: str | None) -> tuple[bytes, str]:
    buffer = io.BytesIO()
    try:
        if form != SERIALIZATION_FORMAT_PICKLE:
            try:
                library("cloudpickle").dump(model, buffer, protocol=pickle.DEFAULT_PROTOCOL)
                return buffer.getvalue(), SERIALIZATION_FORMAT_CLOUDPICKLE
            except Exception:
                if form is not None:
                    raise
        return pickle.dumps(model), SERIALIZATION_FORMAT_PICKLE
    except Exception as error:
        raise InvalidValueError(f"this {type(model).__name__} can't be pickled: {error}") from error
