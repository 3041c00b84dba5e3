"""Metrics of rankings: lists of found things against what should be found, or rows with scores.

Source: MLflow 3.17, mlflow/metrics/metric_definitions.py, for names and meanings.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flowrun.errors import InvalidValueError
from flowrun.models.arrays import Items
from flowrun.models.evaluation.data import check_column
from flowrun.models.evaluation.libraries import needed
from flowrun.models.evaluation.samples import Samples
from flowrun.models.evaluation.scores import Score, numbers, of_rows


def prepare(samples: Samples, k: int, group: str | None) -> Samples:
    """Compute the metrics of each query; afterwards a row is a query.

    Args:
        samples: a row is a query with a list of what was found, best first, and a list of what
            is relevant; with `group` a row is one of the things, with a score and how relevant it
            is.
        k: how many of the first places count.
        group: the column that says which rows are one query.

    Raises:
        InvalidValueError: the rows are neither.
    """
    if group is not None:
        return _grouped(samples, k, group)
    found = _lists(samples.prediction, "predictions")
    wanted = _lists(samples.target, "targets")
    pairs = list(zip(found, wanted))
    return replace(
        samples,
        scores={
            f"precision_at_{k}": numbers(_precision(f[:k], w) for f, w in pairs),
            f"recall_at_{k}": numbers(_recall(f[:k], w) for f, w in pairs),
            f"ndcg_at_{k}": numbers(_ndcg(f[:k], w) for f, w in pairs),
        },
    )


def scores_of(k: int) -> tuple[Score, ...]:
    """Give the metrics."""
    found = [Score("example_count", len)]
    for name in ("precision", "recall", "ndcg"):
        found += of_rows(f"{name}_at_{k}", greater_is_better=True)
    return tuple(found)


def _lists(items: Items | None, what: str) -> list[list[object]]:
    rows = [] if items is None else items.tolist()
    made: list[list[object]] = []
    for place, row in enumerate(rows):
        listed = row.tolist() if hasattr(row, "tolist") else row
        if not isinstance(listed, (list, tuple)):
            raise InvalidValueError(
                f"{what} of a ranking are lists, best first, but row {place} is {row!r:.80}; for "
                "rows with a score each, name the column of the query ('group')"
            )
        made.append(list(listed))
    return made


def _precision(found: list[object], wanted: list[object]) -> float:
    relevant = set(wanted)
    return sum(each in relevant for each in found) / len(found) if found else 0.0


def _recall(found: list[object], wanted: list[object]) -> float:
    relevant = set(wanted)
    if not relevant:
        return 0.0 if found else 1.0
    return len(relevant & set(found)) / len(relevant)


def _ndcg(found: list[object], wanted: list[object]) -> float:
    """Give the discounted gain of the places, as a share of what the best order would have.

    What is found twice counts twice, and the best order has it twice as well.
    """
    if not found or not wanted:
        return float(not found and not wanted)
    relevant = set(wanted)
    gains = [float(each in relevant) for each in found]
    repeated = sum(gains) - len(relevant & set(found))
    best = min(int(len(relevant) + repeated), len(found))
    return _discounted(gains) / _discounted([1.0] * best)


def _discounted(gains: list[float]) -> float:
    numpy = needed("numpy")
    made: float = (numpy.asarray(gains) / numpy.log2(numpy.arange(len(gains)) + 2)).sum()
    return made


def _grouped(samples: Samples, k: int, group: str) -> Samples:
    numpy, metrics = needed("numpy"), needed("sklearn.metrics")
    check_column(samples.frame, group, "group")
    if samples.weights is not None:
        raise InvalidValueError("weights have no meaning for a ranking: each query counts once")
    said, true = (_relevance(items) for items in (samples.prediction, samples.target))
    _, first, codes = numpy.unique(
        needed("numpy").asarray(samples.frame[group].tolist(), dtype=str),
        return_index=True,
        return_inverse=True,
    )
    precision, recall, ndcg = [], [], []
    for code in range(len(first)):
        rows = numpy.flatnonzero(codes == code)
        best = rows[numpy.argsort(-said[rows], kind="stable")][:k]
        hits, all_hits = (true[best] > 0).sum(), (true[rows] > 0).sum()
        precision.append(hits / len(best))
        recall.append(hits / all_hits if all_hits else 0.0)
        if len(rows) > 1:
            ndcg.append(metrics.ndcg_score([true[rows]], [said[rows]], k=k))
        else:
            ndcg.append(float(all_hits > 0))
    return replace(
        samples.take(first),
        scores={
            f"precision_at_{k}": numbers(precision),
            f"recall_at_{k}": numbers(recall),
            f"ndcg_at_{k}": numbers(ndcg),
        },
    )


def _relevance(items: Any) -> Any:  # noqa: ANN401 - of numpy
    numpy = needed("numpy")
    try:
        values = numpy.asarray(items, dtype="float64")
    except (TypeError, ValueError):
        raise InvalidValueError(
            "with 'group', predictions are scores and targets say how relevant a row is: numbers"
        ) from None
    return values
