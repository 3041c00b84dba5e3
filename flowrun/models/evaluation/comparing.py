"""A challenger beside the champion, on the same rows: differences, and how sure they are.

The interval comes from the paired bootstrap: rows are drawn again and again, the same ones for
both, and each time both metrics are computed.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flowrun.errors import InvalidValueError
from flowrun.models.evaluation.libraries import needed
from flowrun.models.evaluation.samples import Samples
from flowrun.models.evaluation.scores import Score

DRAWS = 500
DRAWS_OF_MANY = 200
MANY_ROWS = 20_000
"""From here on fewer draws do: the interval is narrow."""
SURENESS = 0.95
_SEED = 20
"""The same rows are drawn at each evaluation: the same data give the same interval."""

BETTER = "better"
WORSE = "worse"
UNDECIDED = "undecided"
FIRST = "first"


@dataclass(frozen=True)
class Difference:
    """How far the challenger is from the champion in one metric."""

    metric: str
    challenger: float
    champion: float
    greater_is_better: bool | None
    low: float | None = None
    """Of the interval of 95 %; None: it was not computed."""
    high: float | None = None

    @property
    def change(self) -> float:
        """Challenger minus champion."""
        return self.challenger - self.champion

    @property
    def gain(self) -> float:
        """How much better the challenger is; negative if it is worse."""
        return -self.change if self.greater_is_better is False else self.change

    @property
    def verdict(self) -> str:
        """`better`, `worse`, or `undecided` where the interval holds both."""
        if self.greater_is_better is None or self.low is None or self.high is None:
            return ""
        low, high = (self.low, self.high) if self.greater_is_better else (-self.high, -self.low)
        if low > 0:
            return BETTER
        return WORSE if high < 0 else UNDECIDED

    def row(self) -> dict[str, object]:
        """Give it as a row of a table."""
        return {
            "metric": self.metric,
            "challenger": self.challenger,
            "champion": self.champion,
            "difference": self.change,
            "low": self.low,
            "high": self.high,
            "verdict": self.verdict,
        }


def compared(
    challenger: Samples,
    champion: Samples,
    values: Mapping[str, float],
    champion_values: Mapping[str, float],
    scores: Sequence[Score],
    sure: Sequence[str],
) -> tuple[Difference, ...]:
    """Compare two models metric by metric.

    Args:
        challenger: what one said.
        champion: what the other said, of the same rows.
        values: the challenger's metrics.
        champion_values: the champion's.
        scores: what is known of the metrics.
        sure: the metrics that get an interval.
    """
    if len(challenger) != len(champion):
        raise InvalidValueError(
            f"the models can't be compared: {len(challenger)} rows beside {len(champion)}"
        )
    by_name = {score.name: score for score in scores}
    drawn = [by_name[name] for name in dict.fromkeys(sure) if name in by_name]
    intervals = _intervals(challenger, champion, drawn)
    found = []
    for name, value in values.items():
        if name not in champion_values:
            continue
        score = by_name.get(name)
        low, high = intervals.get(name, (None, None))
        better = score.greater_is_better if score else None
        found.append(Difference(name, value, champion_values[name], better, low, high))
    return tuple(found)


def _intervals(
    challenger: Samples, champion: Samples, scores: Sequence[Score]
) -> dict[str, tuple[float, float]]:
    if not scores or len(challenger) < 2:
        return {}
    if not any(score.needs_frame for score in scores):
        # Hundreds of copies of the data are most of the work.
        challenger, champion = challenger.without_frame(), champion.without_frame()
    draws = DRAWS if len(challenger) < MANY_ROWS else DRAWS_OF_MANY
    numpy = needed("numpy")
    random = numpy.random.default_rng(_SEED)
    changes: dict[str, list[float]] = {score.name: [] for score in scores}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a draw may have one class only
        for _ in range(draws):
            rows = random.integers(0, len(challenger), len(challenger))
            one, other = challenger.take(rows), champion.take(rows)
            for score in scores:
                changes[score.name].append(score.compute(one) - score.compute(other))
    tail = (1 - SURENESS) / 2
    found = {}
    for name, drawn in changes.items():
        known = [change for change in drawn if not math.isnan(change)]
        if len(known) >= draws // 2:
            low, high = numpy.quantile(known, [tail, 1 - tail]).tolist()
            found[name] = (low, high)
    return found
