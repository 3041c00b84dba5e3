"""Fits of statsmodels: what the results say of themselves."""

from __future__ import annotations

import importlib
from typing import Any

from flowrun.models.autolog.hooks import quietly, wrap, wrap_in_subclasses
from flowrun.models.autolog.record import log_dataset, log_model, log_params, numbers_of, training
from flowrun.tracking import fluent

_METRICS = (
    *("rsquared", "rsquared_adj", "fvalue", "f_pvalue", "aic", "bic", "llf", "mse_resid"),
    *("mse_model", "mse_total", "condition_number", "df_model", "df_resid", "scale", "deviance"),
)


def install() -> None:
    """Hook into statsmodels."""
    base = importlib.import_module("statsmodels.base.model")
    wrap(base.Model, "fit", _fit)
    wrap_in_subclasses(base.Model, "fit", _fit)


def _fit(original: Any, model: Any, *args: Any, **more: Any) -> Any:  # noqa: ANN401 - of theirs
    with training("statsmodels") as options:
        results = original(model, *args, **more)
        if options is None:
            return results
        quietly("parameters", log_params, {"model": type(model).__name__, **more})
        quietly("metrics", lambda: fluent.log_metrics(numbers_of(_said(results))))
        quietly("a summary", lambda: fluent.log_text(str(results.summary()), "model_summary.txt"))
        data = getattr(getattr(model, "data", None), "orig_exog", None)
        if options.log_datasets:
            quietly("data", log_dataset, data)
        quietly("a model", log_model, "statsmodels", results, options, data, results.predict)
        return results


def _said(results: Any) -> dict[str, object]:  # noqa: ANN401 - of theirs
    return {name: value for name in _METRICS if (value := _asked(results, name)) is not None}


def _asked(results: Any, name: str) -> object:  # noqa: ANN401 - of theirs
    """Give an attribute of the results; some are there only for some models."""
    try:
        value: object = getattr(results, name)
    except (AttributeError, NotImplementedError, ValueError):
        return None
    return value
