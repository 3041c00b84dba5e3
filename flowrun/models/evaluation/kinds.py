"""The kinds of models that can be evaluated, and what is computed for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flowrun.errors import InvalidValueError
from flowrun.models.arrays import Items
from flowrun.models.evaluation import classification, ranking, regression, text
from flowrun.models.evaluation.asking import Answer
from flowrun.models.evaluation.libraries import needed
from flowrun.models.evaluation.options import Options
from flowrun.models.evaluation.samples import Samples
from flowrun.models.evaluation.scores import Score

CLASSIFIER = "classifier"
REGRESSOR = "regressor"
RANKING = "ranking"
TEXT = "text"
KINDS = {
    CLASSIFIER: CLASSIFIER,
    REGRESSOR: REGRESSOR,
    RANKING: RANKING,
    "retriever": RANKING,
    TEXT: TEXT,
    "question-answering": TEXT,
    "text-summarization": TEXT,
}
"""By MLflow's `model_type`."""
_NEED_TARGETS = (CLASSIFIER, REGRESSOR)


@dataclass(frozen=True)
class Prepared:
    """Samples that are ready for the metrics of their kind."""

    samples: Samples
    scores: tuple[Score, ...]
    main: str
    """The metric that says which of two models is better, if nobody says."""


def kind_of(model_type: str | None) -> str | None:
    """Give the kind that a `model_type` of MLflow means.

    Raises:
        InvalidValueError: there is no such type.
    """
    if model_type is None:
        return None
    if model_type not in KINDS:
        raise InvalidValueError(
            f"model_type '{model_type}' is not known; there are {', '.join(KINDS)}"
        )
    return KINDS[model_type]


def check_targets(kind: str | None, targets: object) -> None:
    """Raise InvalidValueError if a kind needs to know what is true, and nobody says."""
    if kind in _NEED_TARGETS and targets is None:
        raise InvalidValueError(f"The targets argument must be specified for {kind} models.")


def prepared(kind: str | None, samples: Samples, answer: Answer, options: Options) -> Prepared:
    """Get samples ready, and say which metrics they have.

    Raises:
        InvalidValueError: values are missing, or of types that don't fit.
    """
    _refuse_missing(samples.target, "the target has")
    _refuse_missing(samples.prediction, "the model gave")
    if kind == CLASSIFIER:
        made = classification.prepare(samples, answer, options)
        return Prepared(made, classification.scores_of(made, options), "accuracy_score")
    if kind == REGRESSOR:
        made = regression.prepare(samples)
        return Prepared(made, regression.scores_of(), "root_mean_squared_error")
    if kind == RANKING:
        made = ranking.prepare(samples, options.k, options.group)
        return Prepared(made, ranking.scores_of(options.k), f"ndcg_at_{options.k}/mean")
    if kind == TEXT:
        made = text.prepare(samples)
        return Prepared(made, text.scores_of(), "rougeL/v1/mean")
    return Prepared(samples, (Score("example_count", len),), "")


def _refuse_missing(items: Items | None, what: str) -> None:
    if items is None:
        return
    array: Any = items
    if array.dtype.kind == "O" and any(hasattr(value, "__len__") for value in array[:1]):
        missing = needed("numpy").asarray([value is None for value in array])
    else:
        missing = needed("pandas").isna(array)
    if missing.ndim == 1 and missing.any():
        rows = needed("numpy").flatnonzero(missing)
        one = "no value" if len(rows) == 1 else f"{len(rows)} missing values"
        raise InvalidValueError(
            f"{what} {one} in {len(array)} rows (first in row {rows[0]}): drop or fill them first"
        )
