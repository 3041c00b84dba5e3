"""Carries out an evaluation: asks the model, and its baseline, and computes the metrics."""

from __future__ import annotations

from collections.abc import Sequence

from flowrun.errors import FlowrunError, InvalidValueError
from flowrun.models.arrays import is_frame
from flowrun.models.evaluation import kinds
from flowrun.models.evaluation.asking import Answer, Asked, Model, asked
from flowrun.models.evaluation.comparing import Difference, compared
from flowrun.models.evaluation.data import EvaluationData, read_data
from flowrun.models.evaluation.keeping import Evaluated, keep
from flowrun.models.evaluation.options import Options
from flowrun.models.evaluation.own_metrics import EvaluationMetric, compute_own
from flowrun.models.evaluation.result import EvaluationResult
from flowrun.models.evaluation.samples import Samples
from flowrun.models.evaluation.scores import Score, computed, long_name
from flowrun.models.evaluation.wanted import Wanted


def carry_out(
    wanted: Wanted,
    model: Model,
    data: object,
    targets: object,
    baseline: Model = None,
    feature_names: Sequence[str] | None = None,
) -> EvaluationResult:
    """Evaluate as `evaluate` does, but only say what thresholds do not hold."""
    if wanted.kind is None and not wanted.own:
        raise InvalidValueError("The extra_metrics argument must be specified model_type is None.")
    options, predictions = wanted.options, wanted.predictions
    if isinstance(targets, str):
        targets = options.col_mapping.get(targets, targets)
    if getattr(data, "targets", None) is None or is_frame(data):
        kinds.check_targets(wanted.kind, targets)
    challenger = asked(model)
    rows = read_data(
        data,
        targets,
        predictions,
        options.sample_weights,
        feature_names,
        has_model=challenger is not None,
    )
    if challenger is None and rows.predictions is None:
        raise InvalidValueError(
            "Either a model or set of predictions must be specified: give the `model` parameter, "
            "or the column of the `predictions`."
        )
    mine = _evaluated(wanted, challenger, rows)
    theirs = None if baseline is None else _baseline(wanted, baseline, rows)
    differences = _differences(wanted, mine, theirs) if theirs else ()
    return keep(wanted, mine, theirs, differences, rows)


def _baseline(wanted: Wanted, baseline: Model, rows: EvaluationData) -> Evaluated:
    """Evaluate the model that is compared with; what is wrong with it is told as that."""
    try:
        return _evaluated(wanted, asked(baseline), rows)
    except FlowrunError as error:
        error.message = f"the baseline can't be evaluated: {error.message}"
        raise


def _evaluated(wanted: Wanted, model: Asked | None, rows: EvaluationData) -> Evaluated:
    answer = _answer(wanted, model, rows)
    samples = Samples(rows.frame, answer.prediction, rows.target, weights=rows.weights)
    ready = kinds.prepared(wanted.kind, samples, answer, wanted.options)
    metrics = computed(ready.scores, ready.samples)
    if model is not None and wanted.kind in (kinds.CLASSIFIER, kinds.REGRESSOR):
        score = model.score(rows.features, ready.samples.truth, rows.weights)
        if score is not None:
            metrics["score"] = score
    scores = [*ready.scores]
    row_values: dict[str, Sequence[object]] = {}
    for own in wanted.own:
        made = compute_own(
            own, ready.samples, metrics, wanted.options.rest, wanted.options.col_mapping
        )
        metrics.update(made.metrics)
        row_values.update(made.scores)
        scores += [_own_score(own, name, wanted.options) for name in made.metrics]
    return Evaluated(ready.samples, tuple(scores), ready.main, metrics, row_values, model)


def _answer(wanted: Wanted, model: Asked | None, rows: EvaluationData) -> Answer:
    if model is not None:
        return model.answer(rows.features, wanted.predictions)
    assert rows.predictions is not None  # noqa: S101 - the caller looked
    return Answer(rows.predictions, None, None)


def _own_score(own: EvaluationMetric, name: str, options: Options) -> Score:
    def compute(samples: Samples) -> float:
        made = compute_own(own, samples, {}, options.rest, options.col_mapping)
        return made.metrics.get(name, float("nan"))

    return Score(name, compute, own.greater_is_better, needs_frame=True)


def _differences(wanted: Wanted, mine: Evaluated, theirs: Evaluated) -> tuple[Difference, ...]:
    named = [long_name(limit.metric) for limit in wanted.limits if limit.is_relative]
    return compared(
        mine.samples,
        theirs.samples,
        mine.metrics,
        theirs.metrics,
        mine.scores,
        [*named, mine.main or next(iter(mine.metrics), "")],
    )
