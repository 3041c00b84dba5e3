"""Trainings of scikit-learn: each `fit` that the user calls, not those within it."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from flowrun.models.autolog.hooks import quietly, wrap_in_subclasses
from flowrun.models.autolog.record import log_dataset, log_model, log_params, numbers_of, training
from flowrun.tracking import fluent

_NO_MODELS = (
    *("sklearn.preprocessing", "sklearn.impute", "sklearn.feature_extraction"),
    *("sklearn.feature_selection", "sklearn.compose._column_transformer"),
)
"""What prepares data is no training, unless a pipeline does it."""
_OTHERS = ("xgboost.", "lightgbm.", "catboost.")
_SEARCH_RESULTS = "cv_results.csv"


def install() -> None:
    """Hook into scikit-learn."""
    base = importlib.import_module("sklearn.base")
    wrap_in_subclasses(base.BaseEstimator, "fit", _fit, unless_from=(*_NO_MODELS, *_OTHERS))


def _fit(original: Any, estimator: Any, *args: Any, **more: Any) -> Any:  # noqa: ANN401 - of theirs
    with training("sklearn") as options:
        if options is None:
            return original(estimator, *args, **more)
        quietly("parameters", _log_params, estimator)
        fitted = original(estimator, *args, **more)
        data, target = _data(args, more)
        quietly("metrics", _log_metrics, estimator, data, target)
        quietly("a search", _log_search, estimator)
        if options.log_datasets:
            quietly("data", log_dataset, data)
        predict = getattr(estimator, "predict", None)
        quietly("a model", log_model, "sklearn", estimator, options, data, predict)
        return fitted


def _data(args: tuple[Any, ...], more: Mapping[str, Any]) -> tuple[Any, Any]:
    data = args[0] if args else more.get("X")
    return data, args[1] if len(args) > 1 else more.get("y")


def _log_params(estimator: Any) -> None:  # noqa: ANN401 - of theirs
    log_params(estimator.get_params(deep=True))
    kind = type(estimator)
    fluent.set_tags(
        {"estimator_name": kind.__name__, "estimator_class": f"{kind.__module__}.{kind.__name__}"}
    )


def _log_metrics(estimator: Any, data: Any, target: Any) -> None:  # noqa: ANN401 - of theirs
    """Log how well the model does on what it was trained on."""
    found: dict[str, object] = {}
    if hasattr(estimator, "score"):
        score = estimator.score(data) if target is None else estimator.score(data, target)
        found["training_score"] = score
    base = importlib.import_module("sklearn.base")
    metrics = importlib.import_module("sklearn.metrics")
    if target is not None and base.is_classifier(estimator):
        found |= _classified(metrics, estimator, data, target)
    elif target is not None and base.is_regressor(estimator):
        made = estimator.predict(data)
        squared = metrics.mean_squared_error(target, made)
        found["training_mean_squared_error"] = squared
        found["training_root_mean_squared_error"] = squared**0.5
        found["training_mean_absolute_error"] = metrics.mean_absolute_error(target, made)
        found["training_r2_score"] = metrics.r2_score(target, made)
    fluent.log_metrics(numbers_of(found))


def _classified(metrics: Any, estimator: Any, data: Any, target: Any) -> dict[str, object]:  # noqa: ANN401
    made = estimator.predict(data)
    found: dict[str, object] = {"training_accuracy_score": metrics.accuracy_score(target, made)}
    for name in ("precision", "recall", "f1"):
        score = getattr(metrics, f"{name}_score")
        found[f"training_{name}_score"] = score(target, made, average="weighted", zero_division=0)
    if hasattr(estimator, "predict_proba"):
        likely = estimator.predict_proba(data)
        found["training_log_loss"] = metrics.log_loss(target, likely, labels=estimator.classes_)
        is_binary = likely.shape[1] == 2
        scores = likely[:, 1] if is_binary else likely
        how = {} if is_binary else {"multi_class": "ovo"}
        found["training_roc_auc"] = metrics.roc_auc_score(target, scores, **how)
    return found


def _log_search(estimator: Any) -> None:  # noqa: ANN401 - of theirs
    """Log what a search over parameters found."""
    if not hasattr(estimator, "cv_results_"):
        return
    best = getattr(estimator, "best_params_", {})
    log_params({f"best_{name}": value for name, value in best.items()})
    if hasattr(estimator, "best_score_"):
        fluent.log_metric("best_cv_score", float(estimator.best_score_))
    names = list(estimator.cv_results_)
    rows = zip(*(list(estimator.cv_results_[name]) for name in names))
    text = [",".join(names), *(",".join(map(_cell, row)) for row in rows)]
    fluent.log_text("\n".join(text) + "\n", _SEARCH_RESULTS)


def _cell(value: object) -> str:
    text = str(value)
    return '"' + text.replace('"', '""') + '"' if set(text) & set(',"\n') else text
