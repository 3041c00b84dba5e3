"""What trainings of XGBoost and LightGBM have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowrun.models.autolog.hooks import quietly
from flowrun.models.autolog.record import log_dataset, log_model, log_params, numbers_of, training
from flowrun.models.autolog.switch import options_of
from flowrun.tracking import fluent


def log_step(library: str, metrics: Mapping[str, object], step: int) -> None:
    """Log the metrics of one round, in whatever run this training is."""
    if options_of(library) is not None:
        quietly("metrics", fluent.log_metrics, numbers_of(metrics), step)


def fit_estimator(library: str, original: Any, estimator: Any, *args: Any, **more: Any) -> Any:  # noqa: ANN401 - of theirs
    """Go along with the `fit` of an estimator."""
    with training(library) as options:
        if options is None:
            return original(estimator, *args, **more)
        quietly("parameters", lambda: log_params(estimator.get_params()))
        fitted = original(estimator, *args, **more)
        data = args[0] if args else more.get("X")
        quietly("importances", _log_importances, estimator, "feature_importances_", data)
        if options.log_datasets:
            quietly("data", log_dataset, data)
        quietly("a model", log_model, library, estimator, options, data, estimator.predict)
        return fitted


def log_scores(scores: Mapping[str, object], kind: str) -> None:
    """Keep how important each feature is."""
    fluent.log_dict(numbers_of(scores), f"feature_importance_{kind}.json")


def _log_importances(estimator: Any, name: str, data: Any) -> None:  # noqa: ANN401 - of theirs
    scores = getattr(estimator, name).tolist()
    names = [str(column) for column in getattr(data, "columns", range(len(scores)))]
    log_scores(dict(zip(names, scores)), "split")
