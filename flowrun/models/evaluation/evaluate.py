"""`evaluate`, as in MLflow.

Source: MLflow 3.17, mlflow/models/evaluation, for arguments, names and artifacts. What MLflow has
no word for (slices, a baseline, thresholds) comes as further arguments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flowrun.errors import InvalidValueError
from flowrun.models.evaluation import kinds
from flowrun.models.evaluation.asking import Model
from flowrun.models.evaluation.carrying_out import carry_out
from flowrun.models.evaluation.limits import (
    MetricThreshold,
    ModelValidationFailedException,
    failures_of,
    limits_of,
)
from flowrun.models.evaluation.options import Options
from flowrun.models.evaluation.own_metrics import Own, own_metric
from flowrun.models.evaluation.result import EvaluationResult
from flowrun.models.evaluation.slices import SliceLike, slice_of
from flowrun.models.evaluation.wanted import CustomArtifact, Wanted
from flowrun.models.flavors.pyfunc import load_model

_EVALUATORS = frozenset({"default", "classifier", "regressor"})


def evaluate(
    model: Model = None,
    data: object = None,
    *,
    model_type: str | None = None,
    targets: object = None,
    predictions: str | None = None,
    dataset_path: str | None = None,
    feature_names: Sequence[str] | None = None,
    evaluators: str | Sequence[str] | None = None,
    evaluator_config: Mapping[str, object] | None = None,
    extra_metrics: Sequence[Own] | None = None,
    custom_artifacts: Sequence[CustomArtifact] | None = None,
    env_manager: str = "local",
    model_config: Mapping[str, object] | None = None,
    inference_params: Mapping[str, object] | None = None,
    model_id: str | None = None,
    slices: Sequence[SliceLike] = (),
    baseline: Model = None,
    thresholds: Mapping[str, MetricThreshold] | None = None,
) -> EvaluationResult:
    """Evaluate a model, or predictions, and log what comes of it to the run in progress.

    Args:
        model: a model's URI, a loaded model, a function of the features, what has `predict`; None:
            the predictions are in the data.
        data: a DataFrame, an array, a list of rows or of maps, a file, or a dataset.
        model_type: classifier, regressor, ranking (or retriever), text (or question-answering,
            text-summarization); None: own metrics only.
        targets: the column of what is true; for an array the values.
        predictions: the column of what was predicted; with a model, which one of its outputs.
        dataset_path: taken for MLflow's sake.
        feature_names: of an array its columns; of a frame those that the model sees.
        evaluators: taken for MLflow's sake: "default" is what there is.
        evaluator_config: as in MLflow: pos_label, average, sample_weights (also a column's name),
            label_list, retriever_k, metric_prefix, col_mapping, calibration_n_bins,
            max_classes_for_multiclass_roc_pr; and group: the column of a ranking's query.
        extra_metrics: own metrics: what `make_metric` gives, functions, or `module:function`.
        custom_artifacts: functions of (table of prediction and target, metrics, a folder) that
            give artifacts by their names.
        env_manager: only "local": the model is loaded into this process.
        model_config: what a model that is loaded by its URI finds in its context.
        inference_params: refused: they are for endpoints, which are not asked.
        model_id: the logged model that the metrics belong to; by default the model's own.
        slices: parts of the data that get metrics of their own: a column, or
            `{"by": column, "bins": 4}`.
        baseline: a model to compare with, on the same data.
        thresholds: what must be reached, by metric.

    Raises:
        InvalidValueError: the data or arguments don't fit. UnsupportedError: a library is missing.
        ModelValidationFailedException: a threshold does not hold; all has been logged.
    """
    del dataset_path
    if env_manager != "local":
        raise InvalidValueError(
            f"env_manager '{env_manager}': a model is loaded into this process ('local')",
            "In a pipeline, an `evaluate:` step has the environment that it asks for.",
        )
    if inference_params is not None:
        raise InvalidValueError(
            "The inference_params argument can only be specified when the model is an MLflow "
            "Deployments endpoint URI, and such an endpoint is not asked here"
        )
    if model_config and not isinstance(model, str):
        raise InvalidValueError("model_config goes with a model's URI: give it to `load_model`")
    chosen = [evaluators] if isinstance(evaluators, str) else evaluators or ()
    if set(chosen) - _EVALUATORS:
        raise InvalidValueError(f"evaluators {evaluators!r}: there is 'default' only")
    wanted = Wanted(
        kind=kinds.kind_of(model_type),
        predictions=predictions,
        options=Options.of(evaluator_config),
        own=tuple(own_metric(each) for each in extra_metrics or ()),
        custom_artifacts=tuple(custom_artifacts or ()),
        slices=tuple(map(slice_of, slices)),
        limits=limits_of(thresholds or {}),
        model_id=model_id,
    )
    loaded = load_model(model, model_config=model_config) if isinstance(model, str) else model
    result = carry_out(wanted, loaded, data, targets, baseline, feature_names)
    if result.failures:
        raise ModelValidationFailedException("\n".join(result.failures))
    return result


def validate_evaluation_results(
    validation_thresholds: Mapping[str, MetricThreshold],
    candidate_result: EvaluationResult,
    baseline_result: EvaluationResult | None = None,
) -> None:
    """Check what an evaluation came to, as in MLflow.

    Args:
        validation_thresholds: what must be reached, by metric.
        candidate_result: of the model.
        baseline_result: of the model that it is compared with.

    Raises:
        ModelValidationFailedException: something does not hold; has a line for each.
    """
    limits = limits_of(validation_thresholds)
    before = baseline_result.metrics if baseline_result is not None else {}
    failures = failures_of(limits, candidate_result.metrics, before, {})
    if failures:
        raise ModelValidationFailedException("\n".join(failures))
