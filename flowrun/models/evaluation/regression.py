"""Metrics of regressors.

Source: MLflow 3.17, mlflow/models/evaluation/evaluators/regressor.py, for names and meanings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from flowrun.errors import InvalidValueError
from flowrun.models.arrays import Items
from flowrun.models.evaluation.libraries import needed
from flowrun.models.evaluation.samples import Samples
from flowrun.models.evaluation.scores import Score


def prepare(samples: Samples) -> Samples:
    """Make truth and predictions numbers.

    Raises:
        InvalidValueError: they are none.
    """
    return replace(
        samples,
        target=_numbers(samples.target, "the target"),
        prediction=_numbers(samples.prediction, "what the model predicts"),
    )


def scores_of() -> tuple[Score, ...]:
    """Give the metrics."""
    return (
        Score("example_count", len),
        Score("mean_absolute_error", _weighed("mean_absolute_error"), greater_is_better=False),
        Score("mean_squared_error", _weighed("mean_squared_error"), greater_is_better=False),
        Score("root_mean_squared_error", _root_mean_squared_error, greater_is_better=False),
        Score("sum_on_target", _sum_on_target),
        Score("mean_on_target", _mean_on_target),
        Score("r2_score", _r2, greater_is_better=True),
        Score("max_error", _max_error, greater_is_better=False),
        Score(
            "mean_absolute_percentage_error",
            _weighed("mean_absolute_percentage_error"),
            greater_is_better=False,
        ),
    )


def residuals(samples: Samples) -> Items:
    """Give how far the truth is from what was predicted, row by row."""
    target: Any = samples.target
    made: Items = target - samples.prediction
    return made


def _numbers(items: Any, what: str) -> Items:  # noqa: ANN401 - of numpy
    numpy = needed("numpy")
    try:
        array = numpy.asarray(items, dtype="float64")
    except (TypeError, ValueError):
        first = items.tolist()[0]
        raise InvalidValueError(
            f"{what} of a regressor must be numbers, but is {items.dtype} (the first is {first!r})"
        ) from None
    if not numpy.isfinite(array).all():
        row = int(numpy.flatnonzero(~numpy.isfinite(array))[0])
        raise InvalidValueError(f"{what} is infinite, first in row {row}")
    made: Items = array
    return made


def _weighed(name: str) -> Callable[[Samples], float]:
    def compute(samples: Samples) -> float:
        made: float = getattr(needed("sklearn.metrics"), name)(
            samples.target, samples.prediction, sample_weight=samples.weights
        )
        return made

    return compute


def _root_mean_squared_error(samples: Samples) -> float:
    # scikit-learn has it by itself only since 1.4.
    return float(_weighed("mean_squared_error")(samples) ** 0.5)


def _r2(samples: Samples) -> float:
    if len(samples) < 2:
        return float("nan")  # scikit-learn warns, and gives the same
    return _weighed("r2_score")(samples)


def _max_error(samples: Samples) -> float:
    made: float = needed("sklearn.metrics").max_error(samples.target, samples.prediction)
    return made


def _sum_on_target(samples: Samples) -> float:
    target: Any = samples.target
    made: float = (target if samples.weights is None else target * samples.weights).sum()
    return made


def _mean_on_target(samples: Samples) -> float:
    return _sum_on_target(samples) / len(samples)
