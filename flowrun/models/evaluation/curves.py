"""The data behind the plots: curves, confusion matrix, residuals, as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flowrun.models.evaluation.libraries import needed
from flowrun.models.evaluation.regression import residuals
from flowrun.models.evaluation.samples import Samples

_MOST_POINTS = 1000
"""Of one curve: more can't be seen, and 1,000,000 rows would make as many."""


@dataclass(frozen=True)
class Line:
    """One line of a plot."""

    label: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True)
class Chart:
    """A plot, as data: lines, points, a grid of numbers or a histogram."""

    name: str
    """Of the artifact, without its ending."""
    title: str
    x_label: str
    y_label: str
    lines: tuple[Line, ...] = ()
    points: Line | None = None
    grid: Sequence[Sequence[float]] = ()
    ticks: tuple[str, ...] = ()
    """The grid's rows and columns."""
    diagonal: str = ""
    """`up` or `down`: a dashed line of what pure chance, or perfection, would give."""
    level: float | None = None
    """A dashed line across."""

    def rows(self) -> list[Mapping[str, object]]:
        """Give it as the rows of a table."""
        if self.grid:
            return [
                {"actual": actual, **dict(zip(self.ticks, row))}
                for actual, row in zip(self.ticks, self.grid)
            ]
        lines = self.lines if self.points is None else (self.points,)
        return [
            {"label": line.label, self.x_label: x, self.y_label: y}
            for line in lines
            for x, y in zip(line.x, line.y)
        ]


def of_classifier(samples: Samples, bins: int, most_classes: int) -> list[Chart]:
    """Give confusion matrix, ROC, precision-recall and calibration, as far as can be."""
    metrics = needed("sklearn.metrics")
    names = tuple(map(str, samples.names))
    matrix = metrics.confusion_matrix(
        samples.target,
        samples.prediction,
        labels=range(len(names)),
        normalize="true",
        sample_weight=samples.weights,
    )
    found = [
        Chart(
            "confusion_matrix",
            "Normalized confusion matrix",
            "predicted",
            "actual",
            grid=matrix.tolist(),
            ticks=names,
        )
    ]
    likely: Any = samples.probabilities
    if likely is None or len(names) > most_classes:
        return found
    target: Any = samples.target
    places = [1] if len(names) == 2 else range(len(names))
    roc, recall, calibration = [], [], []
    for place in places:
        true, said = target == place, likely[:, place]
        if true.all() or not true.any():
            continue
        how = {"sample_weight": samples.weights}
        false_rate, true_rate, _ = metrics.roc_curve(true, said, **how)
        area = metrics.roc_auc_score(true, said, **how)
        roc.append(_line(f"{names[place]} (AUC={area:.3f})", false_rate, true_rate))
        precise, found_rate, _ = metrics.precision_recall_curve(true, said, **how)
        area = metrics.average_precision_score(true, said, **how)
        recall.append(_line(f"{names[place]} (AP={area:.3f})", found_rate, precise))
        calibration.append(_calibration(names[place], true, said, samples.weights, bins))
    if not roc:
        return found
    return [
        *found,
        Chart(
            "roc_curve_plot",
            "ROC curve",
            "false positive rate",
            "true positive rate",
            tuple(roc),
            diagonal="up",
        ),
        Chart(
            "precision_recall_curve_plot",
            "Precision recall curve",
            "recall",
            "precision",
            tuple(recall),
        ),
        Chart(
            "calibration_curve_plot",
            "Calibration",
            "mean predicted probability",
            "fraction of positives",
            tuple(calibration),
            diagonal="up",
        ),
    ]


def of_regressor(samples: Samples) -> list[Chart]:
    """Give what was predicted beside the truth, and what is left."""
    numpy = needed("numpy")
    left: Any = residuals(samples)
    prediction: Any = samples.prediction
    target: Any = samples.target
    rows = numpy.unique(numpy.linspace(0, len(left) - 1, min(len(left), _MOST_POINTS)).astype(int))
    points = Line("residual", prediction[rows].tolist(), left[rows].tolist())
    beside = Line("row", target[rows].tolist(), prediction[rows].tolist())
    return [
        Chart("residuals_plot", "Residuals", "predicted", "residual", points=points, level=0.0),
        Chart(
            "predicted_actual_plot",
            "Predicted beside actual",
            "actual",
            "predicted",
            points=beside,
            diagonal="up",
        ),
    ]


def _line(label: str, x: Any, y: Any) -> Line:  # noqa: ANN401 - of numpy
    numpy = needed("numpy")
    if len(x) > _MOST_POINTS:
        kept = numpy.unique(numpy.linspace(0, len(x) - 1, _MOST_POINTS).astype(int))
        x, y = x[kept], y[kept]
    return Line(label, x.tolist(), y.tolist())


def _calibration(
    label: str,
    true: Any,  # noqa: ANN401 - of numpy
    said: Any,  # noqa: ANN401 - of numpy
    weights: Any,  # noqa: ANN401 - of numpy
    bins: int,
) -> Line:
    """Give, for ranges of the probability, how often what was said was so.

    scikit-learn's function for it takes no weights.
    """
    numpy = needed("numpy")
    weights = numpy.ones(len(said)) if weights is None else weights
    places = numpy.digitize(said, numpy.linspace(0, 1, bins + 1)[1:-1])
    x, y = [], []
    for place in range(bins):
        inside = places == place
        if weights[inside].sum() > 0:
            x.append(float(numpy.average(said[inside], weights=weights[inside])))
            y.append(float(numpy.average(true[inside], weights=weights[inside])))
    return Line(label, x, y)
