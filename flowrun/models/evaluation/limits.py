"""What a model must reach: thresholds of metrics, also beside another model.

Source: MLflow 3.17, mlflow/models/evaluation/validation.py, for MetricThreshold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flowrun.errors import FlowrunError, InvalidValueError
from flowrun.models.evaluation.scores import long_name

_SMALLEST_GAIN = 1e-10
"""What counts as better than a champion of 0, of which there is no share."""


class ModelValidationFailedException(FlowrunError):  # noqa: N818 - MLflow's name
    """A model does not reach what it must; the message has a line for each metric."""


@dataclass(frozen=True)
class MetricThreshold:
    """What one metric must reach, as MLflow has it."""

    threshold: float | None = None
    """At least, or at most if lower is better."""
    min_absolute_change: float | None = None
    """How much better than the other model it must be."""
    min_relative_change: float | None = None
    """The same as a share of the other model's value, 0 to 1."""
    greater_is_better: bool | None = None

    def __post_init__(self) -> None:
        """Refuse what makes no sense, in MLflow's words."""
        if self.threshold is not None and not _is_number(self.threshold):
            raise _wrong("`threshold` parameter must be a number.")
        change, share = self.min_absolute_change, self.min_relative_change
        if change is not None and (not _is_number(change) or change <= 0):
            raise _wrong("`min_absolute_change` parameter must be a positive number.")
        if share is not None and not isinstance(share, float):
            raise _wrong("`min_relative_change` parameter must be a floating point number.")
        if share is not None and not 0 <= share <= 1:
            raise _wrong("`min_relative_change` parameter must be between 0 and 1.")
        if self.greater_is_better is None:
            raise _wrong("`greater_is_better` parameter must be defined.")
        if not isinstance(self.greater_is_better, bool):
            raise _wrong("`greater_is_better` parameter must be a boolean.")
        if self.threshold is None and change is None and share is None:
            raise _wrong("no threshold was specified.")


@dataclass(frozen=True)
class Limit:
    """What one metric must reach."""

    metric: str
    """As the user calls it."""
    minimum: float | None = None
    maximum: float | None = None
    gain: float | None = None
    """How much better than the champion's it must be, at least; 0: not worse."""
    share: float | None = None
    """The same as a share of the champion's value."""
    greater_is_better: bool | None = None
    """None: as the metric itself has it."""

    @classmethod
    def of(cls, metric: str, threshold: MetricThreshold) -> Limit:
        """Give the same as MLflow's."""
        is_greater = bool(threshold.greater_is_better)
        return cls(
            metric,
            threshold.threshold if is_greater else None,
            None if is_greater else threshold.threshold,
            threshold.min_absolute_change,
            threshold.min_relative_change,
            is_greater,
        )

    @property
    def is_relative(self) -> bool:
        """It says something about the champion."""
        return self.gain is not None or self.share is not None

    def failures(
        self,
        metrics: Mapping[str, float],
        champion: Mapping[str, float] | None,
        ways: Mapping[str, bool | None],
    ) -> list[str]:
        """Say what does not hold, each in a sentence.

        Args:
            metrics: the model's.
            champion: the other model's; None: there is none, and nothing is asked beside it.
            ways: of each metric, whether greater is better.
        """
        name = self.metric if self.metric in metrics else long_name(self.metric)
        value = metrics.get(name)
        if value is None:
            has = ", ".join(metrics)
            return [f"metric {self.metric} was not computed (there are: {has})"]
        found = []
        if self.minimum is not None and not value >= self.minimum:
            found.append(f"{self.metric} is {value:.6g}, but must be at least {self.minimum:g}")
        if self.maximum is not None and not value <= self.maximum:
            found.append(f"{self.metric} is {value:.6g}, but must be at most {self.maximum:g}")
        if champion is None or not self.is_relative:
            return found
        before = champion.get(name)
        if before is None:
            return [*found, f"metric {self.metric} was not computed for the champion"]
        way = self.greater_is_better if self.greater_is_better is not None else ways.get(name)
        if way is None:
            told = f"metric {self.metric} does not say whether greater is better"
            return [*found, f"{told}, so it can't be compared with the champion's"]
        return [*found, *self._beside(value, before, is_greater=way)]

    def _beside(self, value: float, before: float, *, is_greater: bool) -> list[str]:
        gain = value - before if is_greater else before - value
        way = "greater" if is_greater else "less"
        is_told = f"{self.metric} is {value:.6g}, the champion's is {before:.6g}"
        found = []
        # In numbers like 0.8 and 0.9 the last digits are not what people wrote.
        slack = 1e-12 * max(abs(value), abs(before), 1.0)
        if self.gain is not None and not gain >= self.gain - slack:
            how = f"be {way} by at least {self.gain:g}" if self.gain else f"not be {_other(way)}"
            found.append(f"{is_told}: it must {how}")
        if self.share is not None:
            wanted = self.share * abs(before) if before else _SMALLEST_GAIN
            if not gain >= wanted - (slack if before else 0):
                least = f"{100 * self.share:.4g} % of that"
                found.append(f"{is_told}: it must be {way} by at least {least}")
        return found


def failures_of(
    limits: Iterable[Limit],
    metrics: Mapping[str, float],
    champion: Mapping[str, float] | None,
    ways: Mapping[str, bool | None],
) -> list[str]:
    """Say all that does not hold; see `Limit.failures`."""
    return [text for each in limits for text in each.failures(metrics, champion, ways)]


def limits_of(thresholds: object) -> tuple[Limit, ...]:
    """Read a map of MetricThresholds, of flowrun's or of MLflow's own.

    Raises:
        InvalidValueError: it is none.
    """
    names = ("threshold", "min_absolute_change", "min_relative_change", "greater_is_better")
    if not isinstance(thresholds, Mapping) or not all(
        isinstance(key, str) and all(hasattr(each, name) for name in names)
        for key, each in thresholds.items()
    ):
        raise InvalidValueError(
            "The validation thresholds argument must be a dictionary that maps strings to "
            "MetricThreshold objects."
        )
    return tuple(Limit.of(name, each) for name, each in thresholds.items())


def _other(way: str) -> str:
    return "less" if way == "greater" else "greater"


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _wrong(text: str) -> InvalidValueError:
    return InvalidValueError(f"Could not instantiate MetricThreshold class: {text}")
