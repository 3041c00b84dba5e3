"""Metrics of classifiers.

Source: MLflow 3.17, mlflow/models/evaluation/evaluators/classifier.py, for names and meanings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from numbers import Real
from typing import Any

from flowrun.errors import InvalidValueError
from flowrun.models.arrays import Items
from flowrun.models.evaluation.asking import Answer
from flowrun.models.evaluation.libraries import needed
from flowrun.models.evaluation.options import AVERAGES, Options
from flowrun.models.evaluation.samples import Samples
from flowrun.models.evaluation.scores import Score

_BY_AVERAGE = ("precision", "recall", "f1")
_COUNTS = ("true_negatives", "false_positives", "false_negatives", "true_positives")
_MANY_CLASSES = 200


def prepare(samples: Samples, answer: Answer, options: Options) -> Samples:
    """Find out the classes; from here on truth and predictions are their places among these.

    Args:
        samples: with classes as they are called.
        answer: what the model said, with its probabilities.
        options: may say which classes there are.

    Raises:
        InvalidValueError: truth and predictions can't be classes of one classifier.
    """
    numpy = needed("numpy")
    target, prediction = _comparable(samples)
    labels = _labels(target, prediction, answer, options)
    order = list(labels)
    if options.pos_label is not None and len(order) == 2:
        positive = _positive(options.pos_label, order)
        order = [label for label in order if label != positive] + [positive]
    probabilities = answer.probabilities
    if probabilities is not None:
        columns = list(labels if answer.classes is None else answer.classes.tolist())
        if len(columns) != probabilities.shape[1]:
            raise InvalidValueError(
                f"the model gives {probabilities.shape[1]} probabilities a row, but there are "
                f"{len(columns)} classes: give all of them in evaluator_config's 'label_list'"
            )
        own: Any = probabilities
        made = numpy.zeros((len(own), len(order)))
        for place, label in enumerate(order):
            if label in columns:
                made[:, place] = own[:, columns.index(label)]
        probabilities = made
    return replace(
        samples,
        target=_places(target, order, "target"),
        prediction=_places(prediction, order, "prediction"),
        labels=numpy.asarray(order),
        probabilities=probabilities,
    )


def scores_of(samples: Samples, options: Options) -> tuple[Score, ...]:
    """Give the metrics that can be had of these samples."""
    count = len(samples.names)
    is_binary = count == 2
    found = [
        Score("example_count", len),
        _plain("accuracy_score"),
        Score("balanced_accuracy_score", _balanced_accuracy, greater_is_better=True),
        _plain("matthews_corrcoef"),
        *_averaged("binary" if is_binary else options.average, count, ""),
    ]
    for average in AVERAGES:
        found += _averaged(average, count, f"_{average}")
    if is_binary:
        found += [Score(name, _count(place)) for place, name in enumerate(_COUNTS)]
    if samples.probabilities is not None:
        found += _of_probabilities(count, options)
    return tuple(found)


def per_class(samples: Samples) -> list[dict[str, object]]:
    """Give the metrics of each class against all others, a map a class."""
    metrics = needed("sklearn.metrics")
    rows: list[dict[str, object]] = []
    target: Any = samples.target
    prediction: Any = samples.prediction
    likely: Any = samples.probabilities
    how = {"sample_weight": samples.weights}
    for place, label in enumerate(samples.names):
        true, said = target == place, prediction == place
        counts = metrics.confusion_matrix(true, said, labels=[False, True]).ravel().tolist()
        row: dict[str, object] = {"positive_class": label, **dict(zip(_COUNTS, counts))}
        row["example_count"] = len(samples)
        row["accuracy_score"] = float(metrics.accuracy_score(true, said, **how))
        for name in _BY_AVERAGE:
            made = getattr(metrics, f"{name}_score")(true, said, zero_division=0, **how)
            row[f"{name}_score"] = float(made)
        if likely is not None and 0 < true.sum() < len(samples):
            row["roc_auc"] = float(metrics.roc_auc_score(true, likely[:, place], **how))
            made = metrics.average_precision_score(true, likely[:, place], **how)
            row["precision_recall_auc"] = float(made)
        rows.append(row)
    return rows


def _comparable(samples: Samples) -> tuple[Items, Items]:
    """Give truth and predictions in one type, or say why they have none in common."""
    target: Any = _as_numbers(samples.target)
    prediction: Any = _as_numbers(samples.prediction)
    kinds = {"O": "text", "U": "text", "S": "text", "T": "text", "b": "true or false"}
    mine, theirs = (kinds.get(each.dtype.kind, "numbers") for each in (target, prediction))
    if mine != theirs and "text" in (mine, theirs):
        as_text = {str(value) for value in target.tolist()[:1000]}
        overlap = as_text & {str(value) for value in prediction.tolist()[:1000]}
        what = f"the target has {mine} ({target.dtype}), the predictions {theirs} "
        hint = " Give one of them the type of the other." if overlap else ""
        raise InvalidValueError(f"{what}({prediction.dtype}): they can't be compared.{hint}")
    if mine == "text":
        return _text(target), _text(prediction)
    if prediction.dtype.kind == "f" and (prediction % 1 != 0).any():
        raise InvalidValueError(
            "the predictions are numbers between the classes (such as "
            f"{prediction[prediction % 1 != 0][0]:g}), not classes: is the model a regressor, or "
            "does it give probabilities?"
        )
    return target, prediction


def _as_numbers(items: Any) -> Any:  # noqa: ANN401 - of numpy
    """Give an array of objects that are all numbers as one of numbers."""
    if items.dtype.kind == "O" and all(isinstance(each, Real) for each in items):
        return needed("numpy").asarray(items.tolist())
    return items


def _text(items: Any) -> Items:  # noqa: ANN401 - of numpy
    made: Items = items if items.dtype.kind == "U" else items.astype(str)
    return made


def _labels(target: Items, prediction: Items, answer: Answer, options: Options) -> list[object]:
    numpy = needed("numpy")
    if options.label_list is not None:
        parts = [numpy.asarray(list(options.label_list))]
    else:
        parts = [target, prediction]
        if answer.classes is not None:
            own: Any = answer.classes
            parts.append(own.astype(str) if target.dtype.kind == "U" else own)
    labels: list[object] = numpy.unique(numpy.concatenate(parts)).tolist()
    if len(labels) < 2:
        raise InvalidValueError(
            "Evaluation dataset for classification must contain at least two unique labels, but "
            f"only {len(labels)} unique labels were found.",
            "Give all classes in evaluator_config's 'label_list'.",
        )
    continuous = target.dtype.kind == "f" and len(labels) > _MANY_CLASSES
    if continuous:
        raise InvalidValueError(
            f"the target has {len(labels)} different numbers: that looks like a regressor's"
        )
    return labels


def _places(items: Items, labels: list[object], what: str) -> Items:
    """Give where each class stands among all of them: small numbers are fast to compare."""
    numpy = needed("numpy")
    own: Any = items
    places = numpy.full(len(own), -1)
    for place, label in enumerate(labels):
        places[own == label] = place
    if (places < 0).any():
        unknown = own[places < 0][0]
        shown = ", ".join(map(str, labels))
        raise InvalidValueError(f"{what} {unknown!s} is none of 'label_list' [{shown}].")
    made: Items = places
    return made


def _positive(wanted: object, labels: list[object]) -> object:
    for label in labels:
        if label == wanted or str(label) == str(wanted):
            return label
    shown = ", ".join(map(str, labels))
    raise InvalidValueError(f"'pos_label' {wanted} must exist in 'label_list' [{shown}].")


def _plain(name: str) -> Score:
    def compute(samples: Samples) -> float:
        made: float = getattr(needed("sklearn.metrics"), name)(
            samples.target, samples.prediction, sample_weight=samples.weights
        )
        return made

    return Score(name, compute, greater_is_better=True)


def _balanced_accuracy(samples: Samples) -> float:
    """Give the mean recall of the classes that are there; scikit-learn warns of others."""
    metrics, numpy = needed("sklearn.metrics"), needed("numpy")
    made: float = metrics.recall_score(
        samples.target,
        samples.prediction,
        labels=numpy.unique(samples.target),
        average="macro",
        sample_weight=samples.weights,
        zero_division=0,
    )
    return made


def _averaged(average: str, count: int, suffix: str) -> list[Score]:
    def scorer(name: str) -> Callable[[Samples], float]:
        def compute(samples: Samples) -> float:
            more: Mapping[str, object] = (
                {"pos_label": 1} if average == "binary" else {"labels": range(count)}
            )
            made: float = getattr(needed("sklearn.metrics"), f"{name}_score")(
                samples.target,
                samples.prediction,
                average=average,
                sample_weight=samples.weights,
                zero_division=0,
                **more,
            )
            return made

        return compute

    return [
        Score(f"{name}_score{suffix}", scorer(name), greater_is_better=True) for name in _BY_AVERAGE
    ]


def _count(place: int) -> Callable[[Samples], float]:
    def compute(samples: Samples) -> float:
        table = needed("sklearn.metrics").confusion_matrix(
            samples.target, samples.prediction, labels=[0, 1]
        )
        made: float = table.ravel()[place]
        return made

    return compute


def _of_probabilities(count: int, options: Options) -> list[Score]:
    found = [
        Score("log_loss", _log_loss, greater_is_better=False),
        Score("brier_score", _brier, greater_is_better=False),
    ]
    if count == 2:
        found += [
            Score("roc_auc", _binary_auc("roc_auc_score"), greater_is_better=True),
            Score(
                "precision_recall_auc",
                _binary_auc("average_precision_score"),
                greater_is_better=True,
            ),
        ]
    elif options.average != "micro":
        found.append(Score("roc_auc", _auc_of_many(options.average), greater_is_better=True))
    return found


def _log_loss(samples: Samples) -> float:
    made: float = needed("sklearn.metrics").log_loss(
        samples.target,
        samples.probabilities,
        labels=range(len(samples.names)),
        sample_weight=samples.weights,
    )
    return made


def _brier(samples: Samples) -> float:
    """Give the mean squared distance of the probabilities from the truth.

    Of two classes that of the positive one, as usual; of more the sum over all of them.
    """
    numpy = needed("numpy")
    target: Any = samples.target
    likely: Any = samples.probabilities
    count = len(samples.names)
    truth = target[:, None] == numpy.arange(count)[None, :]
    if count == 2:
        truth = truth[:, 1:]
        likely = likely[:, 1:]
    distances = ((likely - truth) ** 2).sum(axis=1)
    return float(numpy.average(distances, weights=samples.weights))


def _binary_auc(function: str) -> Callable[[Samples], float]:
    def compute(samples: Samples) -> float:
        target: Any = samples.target
        likely: Any = samples.probabilities
        positive = target == 1
        if positive.all() or not positive.any():
            return float("nan")  # of one class alone there is no curve
        made: float = getattr(needed("sklearn.metrics"), function)(
            positive, likely[:, 1], sample_weight=samples.weights
        )
        return made

    return compute


def _auc_of_many(average: str) -> Callable[[Samples], float]:
    def compute(samples: Samples) -> float:
        """Give the mean over the classes that are there, each against all others."""
        metrics, numpy = needed("sklearn.metrics"), needed("numpy")
        target: Any = samples.target
        likely: Any = samples.probabilities
        areas, sizes = [], []
        weights: Any = samples.weights
        if weights is None:
            weights = numpy.ones(len(samples))
        for place in range(len(samples.names)):
            true = target == place
            if true.all() or not true.any():
                continue
            areas.append(
                metrics.roc_auc_score(true, likely[:, place], sample_weight=samples.weights)
            )
            sizes.append(weights[true].sum())
        if not areas:
            return float("nan")
        return float(numpy.average(areas, weights=sizes if average == "weighted" else None))

    return compute
