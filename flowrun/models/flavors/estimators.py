"""Estimators in a file: by skops where it can keep them, else as a pickle.

skops reads a file without running code of it. What it holds beside plain data must be of types
that somebody vouches for: skops for most, this module for those of the libraries themselves, the
user for his own.
"""

from __future__ import annotations

import io
import pickle
import warnings
from collections.abc import Sequence
from pathlib import Path

from flowrun.errors import InvalidValueError, PermissionDeniedError
from flowrun.models.flavors.base import damaged, library, refuse_pickle
from flowrun.models.inner_paths import check_archive
from flowrun.models.requirements import modules_of_pickle, modules_of_skops
from flowrun.tracking.light_session import is_pickle_allowed

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
