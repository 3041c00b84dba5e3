"""What the metrics see: of each row what is true, what the model said, and what it weighs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from flowrun.models.arrays import Frame, Items
from flowrun.models.evaluation.libraries import needed


@dataclass(frozen=True)
class Samples:
    """Rows that a model was asked about; all arrays are as long as the frame."""

    frame: Frame
    """The data: what the model sees, and what else there is of each row."""
    prediction: Items
    """Of a classifier, once it is prepared: the place of the class among the labels."""
    target: Items | None = None
    """What is true, in the same way; None where nobody knows."""
    labels: Items | None = None
    """Of a classifier: all classes in their order; of two, the last is the positive one."""
    probabilities: Items | None = None
    """(n, k) float64, one column a label; None: the model gives none."""
    weights: Items | None = None
    """(n,) float64."""
    scores: Mapping[str, Items] = field(default_factory=dict)
    """By metric: the number of each row, where a metric has one for each row."""

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.frame)

    @property
    def names(self) -> tuple[object, ...]:
        """The classes of a classifier, in their order."""
        return () if self.labels is None else tuple(self.labels.tolist())

    @property
    def said(self) -> Items:
        """What was predicted, as people call it."""
        return self.prediction if self.labels is None else _taken(self.labels, self.prediction)

    @property
    def truth(self) -> Items | None:
        """What is true, as people call it."""
        if self.labels is None or self.target is None:
            return self.target
        return _taken(self.labels, self.target)

    def take(self, rows: Items) -> Samples:
        """Give some of the rows, by their positions; one may be there more than once."""
        frame: Any = self.frame
        return replace(
            self,
            frame=frame.iloc[rows],
            prediction=_taken(self.prediction, rows),
            target=None if self.target is None else _taken(self.target, rows),
            probabilities=None if self.probabilities is None else _taken(self.probabilities, rows),
            weights=None if self.weights is None else _taken(self.weights, rows),
            scores={name: _taken(items, rows) for name, items in self.scores.items()},
        )

    def without_frame(self) -> Samples:
        """Give the same without the columns of the data."""
        frame: Any = self.frame
        return replace(self, frame=frame.iloc[:, :0])


def as_array(values: object) -> Items:
    """Give values of any kind as an array of numpy with one dimension.

    What is a list for each row stays one: an array of objects.
    """
    numpy = needed("numpy")
    to_numpy = getattr(values, "to_numpy", None)
    if callable(to_numpy):
        values = to_numpy()
    if isinstance(values, (list, tuple)) and any(isinstance(v, (list, tuple)) for v in values):
        items = numpy.empty(len(values), dtype=object)
        items[:] = [list(v) if isinstance(v, tuple) else v for v in values]
        found: Items = items
        return found
    array = numpy.asarray(values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    result: Items = array
    return result


def _taken(items: Items, rows: Items) -> Items:
    array: Any = items
    taken: Items = array[rows]
    return taken
