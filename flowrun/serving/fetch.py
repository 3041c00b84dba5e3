"""Brings a model to this machine, into a folder of its own, and says what can be known unloaded."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from flowrun.errors import NotFoundError, StoreError
from flowrun.models.flavors.base import refuse_pickle
from flowrun.models.flavors.own import CLASS_LOADER, CODE_LOADER
from flowrun.models.inner_paths import inside
from flowrun.models.loading import PYFUNC, Found
from flowrun.models.mlmodel import read_mlmodel
from flowrun.models.places import local_copy
from flowrun.registry.signing import check_signature
from flowrun.tracking import fluent
from flowrun.tracking.light_http import TrackingError

_ROW_BY_ROW = frozenset({"mlflow.sklearn", "mlflow.xgboost", "mlflow.lightgbm", "mlflow.catboost"})
_PICKLES = {"mlflow.statsmodels", CLASS_LOADER}
_PICKLE_FORMATS = frozenset({"pickle", "cloudpickle"})
_UNSAID = {"mlflow.sklearn": "pickle"}
"""The format of models of which none is said."""
_TRACED = "model.pt2"


def fetch_model(
    uri: str, into: Path, tracking_uri: str | None, public_key: Path | None = None
) -> Found:
    """Give a model in a folder that stays as it is, whatever becomes of where it came from.

    Args:
        uri: any of a model's URIs, or a path.
        into: an empty folder.
        tracking_uri: a server; None: what the environment says, else flowrun's own store.
        public_key: what the model has to be signed with.

    Raises:
        SignatureError: it is not what the owner of the key has signed.
        NotFoundError: there is no such model. UnsupportedError: it can't predict.
        PermissionDeniedError: it is a pickle or code, and these are forbidden.
        StoreError: the server can't be asked.
    """
    if tracking_uri is not None:
        fluent.set_tracking_uri(tracking_uri)
    try:
        folder = local_copy(uri)
    except TrackingError as error:
        kind = NotFoundError if error.error_code == "RESOURCE_DOES_NOT_EXIST" else StoreError
        raise kind(f"{uri}: {error}") from error
    copy = into / "model"
    # A linked file could be written to after its signature was checked.
    shutil.copytree(folder, copy, copy_function=_link if public_key is None else shutil.copy2)
    if public_key is not None:
        check_signature(copy, public_key, uri)
    found = Found(copy, read_mlmodel(copy))
    check_loadable(found)
    return found


def check_loadable(found: Found) -> None:
    """See that a model predicts, and that what its MLmodel file says of it may be loaded.

    Raises:
        UnsupportedError: it can't predict. PermissionDeniedError: it is a pickle or code, and these
            are forbidden. What its files hide, loading finds.
    """
    settings = found.settings(PYFUNC)
    loader = str(settings.get("loader_module"))
    if loader == CODE_LOADER or settings.get("code") or settings.get("model_code_path"):
        refuse_pickle("the model brings code, which", "Serve a model that brings none.")
    own = found.mlmodel.flavors.get(loader.rpartition(".")[2], {})
    form = own.get("serialization_format", _UNSAID.get(loader))
    is_torch = loader == "mlflow.pytorch"
    data = inside(found.folder, own.get("model_data", "data")) if is_torch else found.folder
    is_untraced = is_torch and not (data / _TRACED).exists()
    if loader in _PICKLES or form in _PICKLE_FORMATS or is_untraced:
        refuse_pickle("the model is a pickle, which", "Save it again in a format that is none.")


def predicts_row_by_row(found: Found) -> bool:
    """Tell whether what a model makes of a row does not depend on the rows beside it."""
    return str(found.settings(PYFUNC).get("loader_module")) in _ROW_BY_ROW


def _link(source: str, target: str) -> None:
    """Keep a file without copying it, where that can be done: deleted there, it stays here."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
