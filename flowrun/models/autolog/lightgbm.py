"""Trainings of LightGBM: `lightgbm.train`, and the `fit` of its estimators."""

from __future__ import annotations

import functools
import importlib
from typing import Any

from flowrun.models.autolog.boosting import fit_estimator, log_scores, log_step
from flowrun.models.autolog.hooks import quietly, wrap, wrap_in_subclasses
from flowrun.models.autolog.record import log_model, log_params, training
from flowrun.models.autolog.switch import options_of

_LIBRARY = "lightgbm"


def install() -> None:
    """Hook into LightGBM."""
    lightgbm = importlib.import_module("lightgbm")
    wrap(lightgbm, "train", _train)
    # Its estimators have a name of their own for the same function.
    estimators = importlib.import_module("lightgbm.sklearn")
    wrap(estimators, "train", _train)
    fit = functools.partial(fit_estimator, _LIBRARY)
    wrap(estimators.LGBMModel, "fit", fit)
    wrap_in_subclasses(estimators.LGBMModel, "fit", fit)


def _train(original: Any, params: Any, train_set: Any, *args: Any, **more: Any) -> Any:  # noqa: ANN401 - of theirs
    if options_of(_LIBRARY) is None:
        return original(params, train_set, *args, **more)
    more["callbacks"] = [*(more.get("callbacks") or ()), _listen]
    with training(_LIBRARY) as options:
        if options is None:  # within the `fit` of an estimator
            return original(params, train_set, *args, **more)
        rounds = args[0] if args else more.get("num_boost_round", 100)
        quietly("parameters", log_params, {**dict(params), "num_boost_round": rounds})
        booster = original(params, train_set, *args, **more)
        quietly("importances", lambda: log_scores(_importances(booster), "split"))
        quietly("a model", log_model, _LIBRARY, booster, options)
        return booster


def _listen(env: Any) -> None:  # noqa: ANN401 - of theirs
    metrics = {f"{item[0]}-{item[1]}": item[2] for item in env.evaluation_result_list or ()}
    if metrics:
        log_step(_LIBRARY, metrics, env.iteration)


def _importances(booster: Any) -> dict[str, object]:  # noqa: ANN401 - of theirs
    return dict(zip(booster.feature_name(), booster.feature_importance().tolist()))
