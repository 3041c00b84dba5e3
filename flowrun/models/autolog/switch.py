"""Turns autologging on and off, for all libraries or for one."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypedDict

from flowrun.models.autolog.hooks import when_imported

_HERE = "flowrun.models.autolog"
LIBRARIES: dict[str, tuple[str, ...]] = {
    "sklearn": ("sklearn",),
    "xgboost": ("xgboost",),
    "lightgbm": ("lightgbm",),
    "statsmodels": ("statsmodels.base.model",),
    "keras": ("keras",),
    "pytorch": ("torch", "lightning.pytorch", "pytorch_lightning"),
}
"""Flavor to the modules whose import brings what is hooked into."""


@dataclass(frozen=True)
class Options:
    """What is logged beside parameters and metrics."""

    log_models: bool = True
    log_model_signatures: bool = True
    log_input_examples: bool = False
    log_datasets: bool = True
    registered_model_name: str | None = None
    log_every_n_step: int = 1
    """Of a loop that calls `loss.backward()`."""


class AutologOptions(TypedDict, total=False):
    """What `autolog` of a flavor takes: the same as for all of them."""

    log_input_examples: bool
    log_model_signatures: bool
    log_models: bool
    log_datasets: bool
    disable: bool
    registered_model_name: str | None
    log_every_n_step: int


_on: dict[str, Options] = {}
_installed: set[str] = set()


def autolog(
    log_input_examples: bool = False,  # noqa: FBT001, FBT002 - as in MLflow
    log_model_signatures: bool = True,  # noqa: FBT001, FBT002
    log_models: bool = True,  # noqa: FBT001, FBT002
    log_datasets: bool = True,  # noqa: FBT001, FBT002
    disable: bool = False,  # noqa: FBT001, FBT002
    *,
    registered_model_name: str | None = None,
    log_every_n_step: int = 1,
    libraries: tuple[str, ...] = tuple(LIBRARIES),
) -> None:
    """Log each training from now on: parameters, metrics, the model, and digests of the data.

    A training logs into the active run, else into one of its own.

    Args:
        log_input_examples: keep the first rows with the model.
        log_model_signatures: keep the model's signature.
        log_models: keep the model.
        log_datasets: record what the data is, by a digest.
        disable: stop it instead.
        registered_model_name: make each model a version of this registered model.
        log_every_n_step: log the loss of every n-th `backward()` of a loop in PyTorch.
        libraries: of flavors; by default all that can be logged.
    """
    options = Options(
        log_models=log_models,
        log_model_signatures=log_model_signatures,
        log_input_examples=log_input_examples,
        log_datasets=log_datasets,
        registered_model_name=registered_model_name,
        log_every_n_step=log_every_n_step,
    )
    for name in libraries:
        if disable:
            _on.pop(name, None)
            continue
        _on[name] = options
        if name not in _installed:
            _installed.add(name)
            for module in LIBRARIES[name]:
                when_imported(module, _installer(name))


def options_of(name: str) -> Options | None:
    """Give what is logged of a library's trainings; None: nothing."""
    return _on.get(name)


def _installer(name: str) -> Callable[[], None]:
    def install() -> None:
        # By name: it imports the library, which whoever calls this has just done.
        importlib.import_module(f"{_HERE}.{name}").install()

    return install
