"""Run MLflow projects as DAGs of tracked, pinned steps.

In a script: `import flowrun; flowrun.log_metric("loss", 0.1)`. Everything is loaded on first use,
so that the import itself costs nothing.

A step gets a copy of this file, with the light client and without the rest of flowrun, first on its
path. If flowrun is installed in the step's environment too, the rest is found there.
"""

from __future__ import annotations

import importlib
import os
import sys

TYPE_CHECKING = False  # typing is slow to import, and needed for nothing else
if TYPE_CHECKING:
    from flowrun import models
    from flowrun.api import run
    from flowrun.models import schema as types
    from flowrun.models.autolog.switch import autolog
    from flowrun.models.evaluation import own_metrics as metrics
    from flowrun.models.evaluation.evaluate import evaluate, validate_evaluation_results
    from flowrun.models.evaluation.result import EvaluationResult
    from flowrun.models.flavors import (
        catboost,
        keras,
        langchain,
        lightgbm,
        onnx,
        pyfunc,
        pytorch,
        sklearn,
        spark,
        statsmodels,
        transformers,
        xgboost,
    )
    from flowrun.models.registering import register_model
    from flowrun.resuming import resume
    from flowrun.sweeping import SweepAsked, sweep
    from flowrun.tracking.fluent import (
        ActiveRun,
        active_run,
        end_run,
        get_run,
        get_tracking_uri,
        log_artifact,
        log_artifacts,
        log_dict,
        log_figure,
        log_image,
        log_metric,
        log_metrics,
        log_param,
        log_params,
        log_text,
        search_runs,
        set_experiment,
        set_output,
        set_tag,
        set_tags,
        set_tracking_uri,
        start_run,
    )
    from flowrun.tracking.light_http import TrackingError
    from flowrun.tracking.light_run import Run
    from flowrun.verification import verify
    from flowrun.version import __version__

__all__ = [
    "ActiveRun",
    "EvaluationResult",
    "Run",
    "SweepAsked",
    "TrackingError",
    "__version__",
    "active_run",
    "autolog",
    "catboost",
    "end_run",
    "evaluate",
    "get_run",
    "get_tracking_uri",
    "keras",
    "langchain",
    "lightgbm",
    "log_artifact",
    "log_artifacts",
    "log_dict",
    "log_figure",
    "log_image",
    "log_metric",
    "log_metrics",
    "log_param",
    "log_params",
    "log_text",
    "metrics",
    "models",
    "onnx",
    "pyfunc",
    "pytorch",
    "register_model",
    "resume",
    "run",
    "search_runs",
    "set_experiment",
    "set_output",
    "set_tag",
    "set_tags",
    "set_tracking_uri",
    "sklearn",
    "spark",
    "start_run",
    "statsmodels",
    "sweep",
    "transformers",
    "types",
    "validate_evaluation_results",
    "verify",
    "xgboost",
]

_HOMES = {
    "EvaluationResult": "flowrun.models.evaluation.result",
    "Run": "flowrun.tracking.light_run",
    "SweepAsked": "flowrun.sweeping",
    "TrackingError": "flowrun.tracking.light_http",
    "__version__": "flowrun.version",
    "autolog": "flowrun.models.autolog.switch",
    "evaluate": "flowrun.models.evaluation.evaluate",
    "register_model": "flowrun.models.registering",
    "resume": "flowrun.resuming",
    "run": "flowrun.api",
    "sweep": "flowrun.sweeping",
    "validate_evaluation_results": "flowrun.models.evaluation.evaluate",
    "verify": "flowrun.verification",
}
_MODULES = {
    "models": "flowrun.models",
    "catboost": "flowrun.models.flavors.catboost",
    "keras": "flowrun.models.flavors.keras",
    "langchain": "flowrun.models.flavors.langchain",
    "lightgbm": "flowrun.models.flavors.lightgbm",
    "metrics": "flowrun.models.evaluation.own_metrics",
    "onnx": "flowrun.models.flavors.onnx",
    "pyfunc": "flowrun.models.flavors.pyfunc",
    "pytorch": "flowrun.models.flavors.pytorch",
    "sklearn": "flowrun.models.flavors.sklearn",
    "spark": "flowrun.models.flavors.spark",
    "statsmodels": "flowrun.models.flavors.statsmodels",
    "transformers": "flowrun.models.flavors.transformers",
    "types": "flowrun.models.schema",
    "xgboost": "flowrun.models.flavors.xgboost",
}
_FLUENT = "flowrun.tracking.fluent"

_API_FILE = "api.py"  # the light copy has none


def __getattr__(name: str) -> object:
    """Load what is asked for from the module it lives in."""
    if name not in __all__:
        raise AttributeError(f"module 'flowrun' has no attribute '{name}'")
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    home = _HOMES.get(name, _FLUENT)
    try:
        return getattr(importlib.import_module(home), name)
    except ModuleNotFoundError as error:
        if error.name != home:
            raise
        raise ImportError(
            f"flowrun.{name} is not available in a step: there, flowrun is only what logs "
            "(start_run, log_metric, ...). Install flowrun itself to use it."
        ) from None


def __dir__() -> list[str]:
    """Name what can be asked for."""
    return sorted(__all__)


def _installed_packages() -> list[str]:
    """Give the folders of whole flowruns on the path; the light copy has only a few modules."""
    folders = [os.path.join(entry, "flowrun") for entry in sys.path]
    return [folder for folder in folders if os.path.isfile(os.path.join(folder, _API_FILE))]


if not os.path.isfile(os.path.join(__path__[0], _API_FILE)):
    __path__ += _installed_packages()
