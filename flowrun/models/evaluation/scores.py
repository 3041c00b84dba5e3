"""What a metric is to the rest: a name, a function of samples, and which way is better."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from flowrun.models.arrays import Items
from flowrun.models.evaluation.libraries import needed
from flowrun.models.evaluation.samples import Samples


@dataclass(frozen=True)
class Score:
    """One metric."""

    name: str
    """As MLflow calls it, where it has it."""
    compute: Callable[[Samples], float]
    greater_is_better: bool | None = None
    """None: it says how much there is, not how good it is."""
    needs_frame: bool = False
    """It looks at columns of the data."""


SHORT_NAMES: Mapping[str, str] = {
    "accuracy": "accuracy_score",
    "balanced_accuracy": "balanced_accuracy_score",
    "precision": "precision_score",
    "recall": "recall_score",
    "f1": "f1_score",
    "mcc": "matthews_corrcoef",
    "brier": "brier_score",
    "auc": "roc_auc",
    "pr_auc": "precision_recall_auc",
    "mae": "mean_absolute_error",
    "mse": "mean_squared_error",
    "rmse": "root_mean_squared_error",
    "r2": "r2_score",
    "mape": "mean_absolute_percentage_error",
    "exact_match": "exact_match/v1",
    "rougeL": "rougeL/v1/mean",
    "rouge1": "rouge1/v1/mean",
    "rouge2": "rouge2/v1/mean",
}
"""What people call a metric, where MLflow has a longer name."""


def long_name(name: str) -> str:
    """Give MLflow's name of a metric."""
    return SHORT_NAMES.get(name, name)


def computed(scores: Iterable[Score], samples: Samples) -> dict[str, float]:
    """Give the values of all metrics on some samples."""
    return {score.name: float(score.compute(samples)) for score in scores}


def of_rows(name: str, *, greater_is_better: bool, version: str = "") -> tuple[Score, ...]:
    """Give what becomes of a metric that has a number for each row: mean, variance, p90."""
    label = f"{name}/{version}" if version else name

    def aggregated(function: str, *more: float) -> Callable[[Samples], float]:
        def compute(samples: Samples) -> float:
            made: float = getattr(needed("numpy"), function)(samples.scores[label], *more)
            return made

        return compute

    return (
        Score(f"{label}/mean", aggregated("mean"), greater_is_better),
        Score(f"{label}/variance", aggregated("var")),
        Score(f"{label}/p90", aggregated("percentile", 90.0), greater_is_better),
    )


def numbers(values: Iterable[float]) -> Items:
    """Give an array of numbers."""
    made: Items = needed("numpy").asarray(list(values), dtype="float64")
    return made
