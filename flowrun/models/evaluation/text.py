"""Metrics of texts: exact match, BLEU by sacrebleu, ROUGE by rouge-score.

Source: MLflow 3.17, mlflow/metrics/metric_definitions.py, for names and meanings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from flowrun.errors import InvalidValueError
from flowrun.models.arrays import Items
from flowrun.models.evaluation.libraries import needed
from flowrun.models.evaluation.samples import Samples
from flowrun.models.evaluation.scores import Score, numbers, of_rows

_ROUGE = ("rouge1", "rouge2", "rougeL")
_VERSION = "v1"
"""MLflow's, of these metrics."""


def prepare(samples: Samples) -> Samples:
    """Compare each text with what it should be.

    Raises:
        InvalidValueError: something is no text. UnsupportedError: rouge-score is missing.
    """
    said = _texts(samples.prediction, "predictions")
    if samples.target is None:
        raise InvalidValueError("a text is compared with another: 'targets' must be given")
    wanted = _texts(samples.target, "targets")
    pairs = list(zip(said, wanted))
    # Each text is stemmed by none: as MLflow does.
    scorer = needed("rouge_score.rouge_scorer", "rouge-score").RougeScorer(list(_ROUGE))
    rouge = [scorer.score(right, text) for text, right in pairs]
    matches = numbers(float(text == right) for text, right in pairs)
    by_name = {
        f"{name}/{_VERSION}": numbers(row[name].fmeasure for row in rouge) for name in _ROUGE
    }
    return replace(samples, scores={f"exact_match/{_VERSION}": matches, **by_name})


def scores_of() -> tuple[Score, ...]:
    """Give the metrics."""
    found = [
        Score("example_count", len),
        Score(f"exact_match/{_VERSION}", _exact_match, greater_is_better=True),
        Score("bleu", _bleu, greater_is_better=True),
    ]
    for name in _ROUGE:
        found += of_rows(name, greater_is_better=True, version=_VERSION)
    return tuple(found)


def _exact_match(samples: Samples) -> float:
    numpy = needed("numpy")
    matches = samples.scores[f"exact_match/{_VERSION}"]
    return float(numpy.average(matches, weights=samples.weights))


def _bleu(samples: Samples) -> float:
    """Give sacrebleu's BLEU of all texts together, 0 to 100."""
    assert samples.target is not None  # noqa: S101 - `prepare` looked
    made = needed("sacrebleu").corpus_bleu(samples.prediction.tolist(), [samples.target.tolist()])
    score: float = made.score
    return score


def _texts(items: Items, what: str) -> Sequence[str]:
    values = items.tolist()
    for place, value in enumerate(values):
        if not isinstance(value, str):
            raise InvalidValueError(f"{what} must be texts, but row {place} is {value!r:.80}")
    return [str(value) for value in values]
