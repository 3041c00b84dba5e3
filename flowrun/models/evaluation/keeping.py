"""Keeps what an evaluation came to: in the run in progress, and as its result."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flowrun.errors import InvalidValueError
from flowrun.models.arrays import Items
from flowrun.models.autolog.record import digest_of, log_dataset
from flowrun.models.evaluation import curves, kinds
from flowrun.models.evaluation.asking import Asked
from flowrun.models.evaluation.classification import per_class
from flowrun.models.evaluation.comparing import FIRST, UNDECIDED, Difference
from flowrun.models.evaluation.data import EvaluationData
from flowrun.models.evaluation.limits import failures_of
from flowrun.models.evaluation.recording import Recording, known_model, log_metrics, run_for_it
from flowrun.models.evaluation.result import TABLE, EvaluationResult
from flowrun.models.evaluation.samples import Samples
from flowrun.models.evaluation.scores import Score, long_name
from flowrun.models.evaluation.slices import sliced
from flowrun.models.evaluation.wanted import Wanted

MOST_ROWS = 10_000
"""Of the table of results: the first ones."""
CHAMPION = "champion/"
"""Before the names of the baseline's metrics; those that count are logged beside the model's."""


@dataclass(frozen=True)
class Evaluated:
    """What one model came to."""

    samples: Samples
    scores: tuple[Score, ...]
    main: str
    metrics: Mapping[str, float]
    row_values: Mapping[str, Sequence[object]]
    """Of own metrics: each row's."""
    model: Asked | None


def keep(
    wanted: Wanted,
    mine: Evaluated,
    theirs: Evaluated | None,
    differences: tuple[Difference, ...],
    rows: EvaluationData,
) -> EvaluationResult:
    """Record an evaluation.

    Args:
        wanted: what was asked for.
        mine: what the model came to.
        theirs: what the baseline came to, if there is one.
        differences: between the two.
        rows: the data.
    """
    ways = {score.name: score.greater_is_better for score in mine.scores}
    options = wanted.options
    parts = sliced(wanted.slices, mine.samples, mine.scores) if wanted.slices else []
    before = None if theirs is None else theirs.metrics
    failures = failures_of(wanted.limits, mine.metrics, before, ways)
    metrics = {f"{options.metric_prefix}{name}": value for name, value in mine.metrics.items()}
    also = _also(wanted, mine.metrics)
    compared = {*map(long_name, (*wanted.named, *limited_by(wanted))), mine.main}
    beside = {f"{CHAMPION}{n}": value for n, value in (before or {}).items() if n in compared}
    beside |= {f"{CHAMPION}{n}": before[long_name(n)] for n in also} if before else {}
    with run_for_it() as run, tempfile.TemporaryDirectory(prefix="flowrun-evaluation-") as folder:
        pyfunc = mine.model.pyfunc if mine.model else None
        model_id = wanted.model_id or known_model(pyfunc.model_id if pyfunc else None)
        if wanted.logs_data:
            log_dataset(rows.frame, "eval", rows.name)
        digest = digest_of(rows.frame) or ""
        log_metrics(run, {**metrics, **also}, model_id, rows.name, digest)
        log_metrics(run, beside, None, rows.name, digest)  # they are another model's
        recording = Recording(run, Path(folder), options.metric_prefix)
        _put_artifacts(wanted, mine, recording, rows)
        if parts:
            recording.put_rows("slices", parts)
        if differences:
            recording.put_rows("comparison", [each.row() for each in differences])
        result = EvaluationResult(
            metrics,
            recording.artifacts,
            run.info.run_id,
            differences,
            _verdict(wanted, mine, differences),
            tuple(failures),
            before or {},
        )
        recording.put("evaluation", _summary(result, also))
        return replace(result, artifacts=recording.artifacts)


def limited_by(wanted: Wanted) -> list[str]:
    """Give the metrics that thresholds name."""
    return [each.metric for each in wanted.limits]


def _also(wanted: Wanted, metrics: Mapping[str, float]) -> dict[str, float]:
    """Give the metrics that were named by other names than MLflow's."""
    limited = limited_by(wanted)
    found = {}
    for name in wanted.named:
        long = long_name(name)
        if long not in metrics and name not in metrics and name not in limited:
            has = ", ".join(metrics)
            raise InvalidValueError(f"there is no metric '{name}' here; there are {has}")
        if long in metrics and name not in metrics:
            found[name] = metrics[long]
    return found


def _put_artifacts(
    wanted: Wanted, mine: Evaluated, recording: Recording, rows: EvaluationData
) -> None:
    options, samples = wanted.options, mine.samples
    if wanted.kind == kinds.CLASSIFIER:
        recording.put_charts(
            curves.of_classifier(samples, options.calibration_bins, options.max_curves)
        )
        recording.put_rows("per_class_metrics", per_class(samples))
    if wanted.kind == kinds.REGRESSOR:
        recording.put_charts(curves.of_regressor(samples))
    recording.put_table(TABLE, _table(mine, rows))
    for function in wanted.custom_artifacts:
        with tempfile.TemporaryDirectory(prefix="flowrun-artifacts-") as folder:
            made = function(_pairs(samples), dict(mine.metrics), folder)
            if not isinstance(made, Mapping):
                name = getattr(function, "__name__", repr(function))
                raise InvalidValueError(
                    f"custom artifact function '{name}' gave a {type(made).__name__}; it must give "
                    "a map of names and artifacts"
                )
            for name, content in made.items():
                recording.put(str(name), content)


def _table(mine: Evaluated, rows: EvaluationData) -> dict[str, Sequence[object]]:
    """Give the columns of the table of results: the data, truth, prediction, scores."""
    samples = mine.samples
    frame: Any = samples.frame
    columns: dict[str, Sequence[object]] = {
        str(name): frame[name][:MOST_ROWS].tolist() for name in frame.columns.tolist()
    }
    if (truth := samples.truth) is not None:
        columns[rows.target_name] = _first(truth)
    columns["outputs"] = _first(samples.said)
    for name, items in samples.scores.items():
        columns[f"{name}/score"] = _first(items)
    for name, values in mine.row_values.items():
        columns[name] = list(values)[:MOST_ROWS]
    return columns


def _first(items: Items) -> list[object]:
    own: Any = items
    rows: list[object] = own[:MOST_ROWS].tolist()
    return rows


def _pairs(samples: Samples) -> object:
    frame: Any = samples.frame
    target = {} if samples.truth is None else {"target": samples.truth}
    made: object = frame.iloc[:, :0].assign(prediction=samples.said, **target)
    return made


def _verdict(wanted: Wanted, mine: Evaluated, differences: tuple[Difference, ...]) -> str:
    """Give what the comparison says, by the metrics that thresholds compare, else the main one."""
    if not differences:
        return FIRST if wanted.is_first else ""
    asked_for = [long_name(each.metric) for each in wanted.limits if each.is_relative]
    counts = asked_for or [mine.main]
    verdicts = {each.verdict for each in differences if each.metric in counts}
    return verdicts.pop() if len(verdicts) == 1 else UNDECIDED


def _summary(result: EvaluationResult, also: Mapping[str, float]) -> dict[str, object]:
    return {
        "metrics": {**result.metrics, **also},
        "passed": not result.failures,
        "failures": list(result.failures),
        "verdict": result.verdict,
        "comparison": [each.row() for each in result.differences],
    }
