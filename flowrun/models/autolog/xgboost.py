"""Trainings of XGBoost: `xgboost.train`, and the `fit` of its estimators."""

from __future__ import annotations

import functools
import importlib
from typing import Any

from flowrun.models.autolog.boosting import fit_estimator, log_scores, log_step
from flowrun.models.autolog.hooks import quietly, wrap, wrap_in_subclasses
from flowrun.models.autolog.record import log_model, log_params, training
from flowrun.models.autolog.switch import options_of

_LIBRARY = "xgboost"


def install() -> None:
    """Hook into XGBoost."""
    xgboost = importlib.import_module("xgboost")
    wrap(xgboost, "train", _train)
    # Its estimators have a name of their own for the same function.
    estimators = importlib.import_module("xgboost.sklearn")
    wrap(estimators, "train", _train)
    fit = functools.partial(fit_estimator, _LIBRARY)
    wrap(estimators.XGBModel, "fit", fit)
    wrap_in_subclasses(estimators.XGBModel, "fit", fit)


def _train(original: Any, params: Any, dtrain: Any, *args: Any, **more: Any) -> Any:  # noqa: ANN401 - of theirs
    if options_of(_LIBRARY) is None:
        return original(params, dtrain, *args, **more)
    callback = quietly("metrics", _callback)
    if callback is not None:
        more["callbacks"] = [*(more.get("callbacks") or ()), callback]
    with training(_LIBRARY) as options:
        if options is None:  # within the `fit` of an estimator
            return original(params, dtrain, *args, **more)
        rounds = args[0] if args else more.get("num_boost_round", 10)
        quietly("parameters", log_params, {**dict(params), "num_boost_round": rounds})
        booster = original(params, dtrain, *args, **more)
        quietly("importances", lambda: log_scores(booster.get_score(), "weight"))
        quietly("a model", log_model, _LIBRARY, booster, options)
        return booster


def _callback() -> object:
    xgboost = importlib.import_module("xgboost")

    class Listener(xgboost.callback.TrainingCallback):  # type: ignore[misc, name-defined]  # not typed
        """Logs each round's metrics."""

        def after_iteration(self, model: object, epoch: int, evals_log: Any) -> bool:  # noqa: ANN401
            del model
            metrics = {
                f"{data}-{name}": values[-1]
                for data, of_it in evals_log.items()
                for name, values in of_it.items()
            }
            log_step(_LIBRARY, metrics, epoch)
            return False

    return Listener()
