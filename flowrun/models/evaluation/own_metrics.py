"""Metrics of the user's own: `make_metric`, as in MLflow.

Source: MLflow 3.17, mlflow/models/evaluation/base.py and default_evaluator.py.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Union

from flowrun.errors import InvalidValueError
from flowrun.models.arrays import is_frame
from flowrun.models.evaluation.libraries import needed
from flowrun.models.evaluation.samples import Samples, as_array
from flowrun.models.evaluation.scores import numbers


@dataclass
class MetricValue:
    """What a metric came to, as MLflow has it."""

    scores: Sequence[float] | Sequence[str] | None = None
    """Of each row."""
    justifications: Sequence[str] | None = None
    aggregate_results: Mapping[str, float] | None = None
    """By name; from the scores, if they are numbers and nothing is given."""

    def __post_init__(self) -> None:
        """Aggregate the scores."""
        scores = self.scores
        if self.aggregate_results is None and scores and not isinstance(scores[0], str):
            numpy = needed("numpy")
            self.aggregate_results = {
                "mean": float(numpy.mean(scores)),
                "variance": float(numpy.var(scores)),
                "p90": float(numpy.percentile(scores, 90)),
            }


@dataclass(frozen=True)
class EvaluationMetric:
    """A metric of the user's own."""

    eval_fn: Callable[..., object]
    """Takes `(predictions, targets, metrics, ...)`, and columns of the data by their names; or
    `(eval_df, builtin_metrics)`. Gives a number, or a MetricValue."""
    name: str
    greater_is_better: bool | None
    long_name: str = ""
    version: str | None = None
    metric_details: str | None = None
    metric_metadata: Mapping[str, object] | None = field(default=None, hash=False)

    def __call__(self, **arguments: object) -> object:
        """Compute it for given arguments."""
        return self.eval_fn(**arguments)

    @property
    def label(self) -> str:
        """Its name, with its version."""
        return f"{self.name}/{self.version}" if self.version else self.name


Own = Union[EvaluationMetric, Callable[..., object], str]
"""A metric, a function, or `module:function`."""


def make_metric(
    *,
    eval_fn: Callable[..., object],
    greater_is_better: bool | None = None,
    name: str | None = None,
    long_name: str | None = None,
    version: str | None = None,
    metric_details: str | None = None,
    metric_metadata: Mapping[str, object] | None = None,
) -> EvaluationMetric:
    """Make a metric of a function; see `EvaluationMetric`.

    Raises:
        InvalidValueError: it has no name, or one that can't be.
    """
    found = name or getattr(eval_fn, "__name__", None)
    if found is None or found == "<lambda>":
        raise InvalidValueError("`name` must be specified if `eval_fn` is a lambda function.")
    if "/" in found:
        raise InvalidValueError(
            f"Invalid metric name '{found}'. Metric names cannot include forward slashes ('/')."
        )
    return EvaluationMetric(
        eval_fn,
        str(found),
        greater_is_better,
        long_name or str(found),
        version,
        metric_details,
        metric_metadata,
    )


def own_metric(given: Own) -> EvaluationMetric:
    """Give a metric in whatever way it was named.

    Raises:
        InvalidValueError: it is none, or can't be found.
    """
    if isinstance(given, EvaluationMetric):
        return given
    if isinstance(given, str):
        found = find_function(given)
        return found if isinstance(found, EvaluationMetric) else make_metric(eval_fn=found)
    # A metric that the genuine make_metric has made.
    inner, name = getattr(given, "eval_fn", None), getattr(given, "name", None)
    if callable(inner) and isinstance(name, str):
        own: Any = given
        return EvaluationMetric(inner, name, own.greater_is_better, name, own.version)
    if callable(given):
        return make_metric(eval_fn=given)
    raise InvalidValueError(
        f"extra_metrics has a {type(given).__name__}; a metric is what make_metric gives, a "
        "function, or 'module:function'"
    )


def find_function(path: str) -> Callable[..., object]:
    """Give a function by `module:function`, or `file.py:function`.

    Raises:
        InvalidValueError: there is none.
    """
    where, _, name = path.rpartition(":")
    if not where or not name:
        raise InvalidValueError(f"'{path}' is no metric: write module:function or file.py:function")
    module = _module(where, path)
    function = getattr(module, name, None)
    if not callable(function):
        has = ", ".join(n for n, v in vars(module).items() if callable(v) and n[:1] != "_")
        raise InvalidValueError(f"'{path}': {where} has no function '{name}' (it has: {has})")
    made: Callable[..., object] = function
    return made


def _module(where: str, path: str) -> object:
    if not where.endswith(".py"):
        try:
            return importlib.import_module(where)
        except ModuleNotFoundError as error:
            if error.name != where.partition(".")[0] and error.name != where:
                raise
            raise InvalidValueError(f"'{path}': there is no module '{where}'") from None
    file = Path(where)
    if not file.is_file():
        raise InvalidValueError(f"'{path}': there is no file {where}")
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None  # noqa: S101, PT018 - it is a .py file
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(file.stem, module)
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True)
class OwnValue:
    """What a metric of the user's own came to."""

    metrics: Mapping[str, float]
    """By the names under which they are logged."""
    scores: Mapping[str, Sequence[object]]
    """Of each row, by the column of the table of results."""


def compute_own(
    metric: EvaluationMetric,
    samples: Samples,
    known: Mapping[str, float],
    config: Mapping[str, object],
    columns: Mapping[str, object],
) -> OwnValue:
    """Compute one.

    Args:
        metric: the metric.
        samples: the rows.
        known: the metrics so far.
        config: gives arguments that are no columns.
        columns: what a column is called in the data, by the name of an argument.

    Raises:
        InvalidValueError: an argument is neither, or it gave no number.
    """
    arguments = _arguments(metric, samples, known, config, columns)
    value = metric.eval_fn(*arguments)
    results = getattr(value, "aggregate_results", None)
    if results is not None or hasattr(value, "scores"):
        own: Any = value
        scores = {} if own.scores is None else {f"{metric.label}/score": list(own.scores)}
        found = {
            metric.label if name == metric.name else f"{metric.label}/{name}": float(number)
            for name, number in (results or {}).items()
            if number is not None
        }
        return OwnValue(found, scores)
    if value is None:
        return OwnValue({}, {})
    try:
        return OwnValue({metric.label: float(value)}, {})  # type: ignore[arg-type]  # tried
    except (TypeError, ValueError):
        raise InvalidValueError(
            f"metric '{metric.name}' gave {value!r:.80}; it must give a number or a MetricValue"
        ) from None


def _arguments(
    metric: EvaluationMetric,
    samples: Samples,
    known: Mapping[str, float],
    config: Mapping[str, object],
    columns: Mapping[str, object],
) -> list[object]:
    pandas = needed("pandas")
    index = samples.frame.index
    prediction, truth = pandas.Series(samples.said, index=index), samples.truth
    target = None if truth is None else pandas.Series(truth, index=index)
    parameters = inspect.signature(metric.eval_fn).parameters
    names = list(parameters)
    if len(names) == 2 and names[0] != "predictions" and names[1] != "targets":
        frame = pandas.DataFrame({"prediction": prediction})
        if target is not None:
            frame["target"] = target
        return [frame, dict(known)]
    found: list[object] = []
    for name, parameter in parameters.items():
        column = columns.get(name, name)
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if name == "predictions":
            found.append(prediction)
        elif name == "targets" and target is not None:
            found.append(target)
        elif name == "metrics":
            found.append({key: MetricValue(None, None, {key: v}) for key, v in known.items()})
        elif not isinstance(column, str):
            found.append(column)
        elif is_frame(samples.frame) and column in samples.frame.columns.tolist():
            found.append(samples.frame[column])
        elif column in config:
            found.append(config[column])
        elif column in known:
            found.append(MetricValue(None, None, {column: known[column]}))
        elif parameter.default is not parameter.empty:
            found.append(parameter.default)
        else:
            has = ", ".join(map(str, samples.frame.columns.tolist()))
            raise InvalidValueError(
                f"metric '{metric.name}' needs '{name}', which is neither a column of the data "
                f"({has}) nor set in evaluator_config"
            )
    return found


def as_numbers(values: Sequence[object]) -> object:
    """Give row scores as an array of numbers, or as they are."""
    try:
        return numbers(values)  # type: ignore[arg-type]  # tried
    except (TypeError, ValueError):
        return as_array(values)
