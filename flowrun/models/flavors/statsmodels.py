"""Results of statsmodels, which it keeps as pickles only."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from flowrun.errors import InvalidValueError
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
from flowrun.models.inner_paths import inside
from flowrun.models.loading import load_model_of
from flowrun.models.log import LogOptions, ModelInfo, log
from flowrun.models.requirements import modules_of_pickle
from flowrun.models.saving import SaveOptions, check_options, save

if TYPE_CHECKING:
    import os
    from typing import Unpack

NAME = "statsmodels"
_FILE = "model.statsmodels"
_SPAN = frozenset({"start", "end"})


class Results(Protocol):
    """What fitting a model gives."""

    @property
    def model(self) -> object:
        """The model that was fitted."""

    def save(self, fname: str, remove_data: bool) -> None:  # noqa: FBT001 - theirs
        """Write it."""

    def predict(self, *data: object, **how: object) -> object:
        """Predict."""


def save_model(
    statsmodels_model: Results,
    path: str | os.PathLike[str],
    remove_data: bool = False,  # noqa: FBT001, FBT002 - as in MLflow
    **options: Unpack[SaveOptions],
) -> None:
    """Write the results of a fit into a folder, in MLflow's format.

    Args:
        statsmodels_model: the results.
        path: the folder, new or empty.
        remove_data: leave the training data out, where statsmodels can predict without.
        options: see `SaveOptions`.
    """
    check_options(options, SaveOptions)
    save(_content(statsmodels_model, remove_data=remove_data), path, options)


def log_model(
    statsmodels_model: Results,
    artifact_path: str | None = None,
    remove_data: bool = False,  # noqa: FBT001, FBT002 - as in MLflow
    **options: Unpack[LogOptions],
) -> ModelInfo:
    """Save the results of a fit on the server, as of the run in progress; see `save_model`."""
    return log(_content(statsmodels_model, remove_data=remove_data), artifact_path, options)


def load_model(model_uri: str, dst_path: str | os.PathLike[str] | None = None) -> object:
    """Give the results of a fit; see `loading.load_model_of`."""
    return load_model_of(NAME, model_uri, dst_path)


def autolog(**options: Unpack[AutologOptions]) -> None:
    """Log each training of this library from now on; see `flowrun.autolog`."""
    switch.autolog(**options, libraries=(NAME,))


class StatsmodelsFlavor:
    """Loads them."""

    name = NAME
    loader_modules = frozenset({"mlflow.statsmodels"})

    def load(self, folder: Path, settings: Settings) -> object:
        """Give the results."""
        path = inside(folder, settings.get("data", _FILE))
        refuse_pickle(f"the pickle {path}", "Keep the model in a format of another library.")
        version = settings.get("statsmodels_version")
        io = library("statsmodels.iolib.api", "statsmodels", version)
        try:
            model: object = io.load_pickle(str(path))
        except Exception as error:
            raise damaged(path, error, "statsmodels", version) from error
        return model

    def predictor(self, model: object, pyfunc: Settings) -> Predict:
        """Give how they predict: from data, or for a time series, from `start` to `end`."""
        del pyfunc
        return _predictor(model)  # type: ignore[arg-type]  # what `load` gave


FLAVOR = StatsmodelsFlavor()


def _content(model: Results, *, remove_data: bool) -> Content:
    def write(folder: Path) -> Written:
        model.save(str(folder / _FILE), remove_data)
        settings = {"data": _FILE, "statsmodels_version": library("statsmodels").__version__}
        pyfunc = {"loader_module": "mlflow.statsmodels", "data": _FILE}
        modules = modules_of_pickle((folder / _FILE).read_bytes())
        return Written(NAME, settings, pyfunc, frozenset({"statsmodels", *modules}))

    return Content(NAME, write, _predictor(model))


def _predictor(model: Results) -> Predict:
    series = library("statsmodels.tsa.base.tsa_model", "statsmodels")

    def predict(data: object, params: Mapping[str, object] | None) -> object:
        del params
        if not isinstance(getattr(model, "model", None), series.TimeSeriesModel):
            return model.predict(data)
        if not is_frame(data) or len(data) != 1 or not set(data.columns.tolist()) >= _SPAN:
            raise InvalidValueError(
                "prediction dataframes for a TimeSeriesModel must have exactly one row and include "
                "columns called start and end"
            )
        start, end = data["start"].tolist()[0], data["end"].tolist()[0]
        return model.predict(start=start, end=end)

    return predict
