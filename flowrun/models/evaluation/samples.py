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
    target: Items | None = None
    """What is true; None where nobody knows."""
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
