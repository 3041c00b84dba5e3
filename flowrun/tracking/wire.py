"""MLflow's JSON for experiments, runs and logged models: entities to JSON, and JSON to entities.

The JSON is protobuf's, with its field names as they are: unset fields are left out, an empty list
too, int64 is a number, nan and infinities are texts.
Source: MLflow REST API; `service.proto`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from flowrun.errors import InvalidValueError
from flowrun.tracking.entities import (
    Dataset,
    DatasetInput,
    DatasetSummary,
    Experiment,
    LifecycleStage,
    LoggedModel,
    Metric,
    ModelInput,
    ModelOutput,
    ModelStatus,
    Run,
    RunInfo,
    RunStatus,
)
from flowrun.tracking.fields import Fields, JsonObject


def compact(**fields: object) -> JsonObject:
    """Give the fields that are set: not None, not an empty list."""
    return {name: value for name, value in fields.items() if value is not None and value != []}


def pairs_json(values: Mapping[str, str]) -> list[JsonObject]:
    """Give a mapping as MLflow's list of key and value."""
    return [{"key": key, "value": value} for key, value in values.items()]


def number_json(value: float) -> float | str:
    """Give a number as JSON can carry it: nan and infinities as texts."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def experiment_json(experiment: Experiment) -> JsonObject:
    """Give MLflow's `Experiment`."""
    return compact(
        experiment_id=experiment.experiment_id,
        name=experiment.name,
        artifact_location=experiment.artifact_location,
        lifecycle_stage=experiment.lifecycle_stage.value,
        last_update_time=experiment.last_update_time_ms,
        creation_time=experiment.creation_time_ms,
        tags=pairs_json(experiment.tags),
    )


def experiment_from(fields: Fields) -> Experiment:
    """Read MLflow's `Experiment`."""
    return Experiment(
        experiment_id=fields.text("experiment_id"),
        name=fields.text_or("name"),
        artifact_location=fields.text_or("artifact_location"),
        lifecycle_stage=lifecycle_stage_from(fields),
        creation_time_ms=fields.integer_or("creation_time", 0),
        last_update_time_ms=fields.integer_or("last_update_time", 0),
        tags=fields.pairs("tags"),
    )


def metric_json(metric: Metric) -> JsonObject:
    """Give MLflow's `Metric`."""
    value: JsonObject = {
        "key": metric.key,
        "value": number_json(metric.value),
        "timestamp": metric.timestamp_ms,
        "step": metric.step,
    }
    if metric.model_id or metric.dataset_name or metric.run_id:
        value |= compact(
            model_id=metric.model_id,
            dataset_name=metric.dataset_name,
            dataset_digest=metric.dataset_digest,
            run_id=metric.run_id,
        )
    return value


def metric_from(fields: Fields) -> Metric:
    """Read MLflow's `Metric`, of a request or an answer."""
    return Metric(
        key=fields.text("key"),
        value=fields.number("value"),
        timestamp_ms=fields.integer("timestamp"),
        step=fields.integer_or("step", 0),
        model_id=fields.text_or_none("model_id") or None,
        dataset_name=fields.text_or_none("dataset_name") or None,
        dataset_digest=fields.text_or_none("dataset_digest") or None,
        run_id=fields.text_or_none("run_id") or None,
    )


def metrics_from(fields: Fields, name: str) -> list[Metric]:
    """Read a list of MLflow's `Metric`.

    A batch may have a thousand. Nearly all are plainly right, which takes a third of the time to
    see; only if one isn't, all are looked at in turn.
    """
    items = fields.json(name)
    plain = [_plain_metric(item) for item in items] if isinstance(items, list) else [None]
    metrics = [metric for metric in plain if metric is not None]
    if len(metrics) == len(plain):
        return metrics
    return [metric_from(each) for each in fields.objects(name)]


def _plain_metric(item: object) -> Metric | None:
    """Give a metric of just its four members, each of the very type it has; None for others."""
    if type(item) is not dict or len(item) != _PLAIN_MEMBERS:
        return None
    key, value = item.get("key"), item.get("value")
    timestamp_ms, step = item.get("timestamp"), item.get("step")
    if (
        type(key) is str
        and type(value) is float
        and type(timestamp_ms) is int
        and type(step) is int
        and key != ""
        and key.isprintable()
        and -_INT64_END <= timestamp_ms < _INT64_END
        and -_INT64_END <= step < _INT64_END
    ):
        return Metric(key, value, timestamp_ms, step)
    return None


def run_info_json(info: RunInfo) -> JsonObject:
    """Give MLflow's `RunInfo`; the id goes under its old name too."""
    # Not by `compact`: a page of a search has a thousand runs.
    value: JsonObject = {
        "run_id": info.run_id,
        "run_uuid": info.run_id,
        "run_name": info.run_name,
        "experiment_id": info.experiment_id,
        "user_id": info.user_id,
        "status": info.status.value,
        "start_time": info.start_time_ms,
        "lifecycle_stage": info.lifecycle_stage.value,
    }
    if info.end_time_ms is not None:
        value["end_time"] = info.end_time_ms
    if info.artifact_uri:
        value["artifact_uri"] = info.artifact_uri
    return value


def run_info_from(fields: Fields) -> RunInfo:
    """Read MLflow's `RunInfo`."""
    return RunInfo(
        run_id=fields.text("run_id", alias="run_uuid"),
        experiment_id=fields.text("experiment_id"),
        run_name=fields.text_or("run_name"),
        user_id=fields.text_or("user_id"),
        status=run_status_from(fields) or RunStatus.RUNNING,
        start_time_ms=fields.integer_or("start_time", 0),
        end_time_ms=fields.integer_or_none("end_time") or None,
        artifact_uri=fields.text_or("artifact_uri"),
        lifecycle_stage=lifecycle_stage_from(fields),
    )


def run_json(run: Run) -> JsonObject:
    """Give MLflow's `Run`: info, data, inputs and outputs."""
    data: JsonObject = {}
    if run.metrics:
        data["metrics"] = [metric_json(metric) for metric in run.metrics.values()]
    if run.params:
        data["params"] = pairs_json(run.params)
    if run.tags:
        data["tags"] = pairs_json(run.tags)
    inputs: JsonObject = {}
    if run.dataset_inputs:
        inputs["dataset_inputs"] = [dataset_input_json(item) for item in run.dataset_inputs]
    if run.model_inputs:
        inputs["model_inputs"] = [{"model_id": item.model_id} for item in run.model_inputs]
    outputs: JsonObject = {}
    if run.model_outputs:
        outputs["model_outputs"] = [
            {"model_id": item.model_id, "step": item.step} for item in run.model_outputs
        ]
    return {"info": run_info_json(run.info), "data": data, "inputs": inputs, "outputs": outputs}


def run_from(fields: Fields) -> Run:
    """Read MLflow's `Run`."""
    data, inputs, outputs = fields.nested("data"), fields.nested("inputs"), fields.nested("outputs")
    metrics = metrics_from(data, "metrics")
    return Run(
        info=run_info_from(fields.nested("info")),
        params=data.pairs("params"),
        metrics={metric.key: metric for metric in metrics},
        tags=data.pairs("tags"),
        dataset_inputs=dataset_inputs_from(inputs.objects("dataset_inputs")),
        model_inputs=model_inputs_from(inputs.objects("model_inputs")),
        model_outputs=model_outputs_from(outputs.objects("model_outputs")),
    )


def dataset_input_json(item: DatasetInput) -> JsonObject:
    """Give MLflow's `DatasetInput`."""
    dataset = item.dataset
    return compact(
        tags=pairs_json(item.tags),
        dataset=compact(
            name=dataset.name,
            digest=dataset.digest,
            source_type=dataset.source_type,
            source=dataset.source,
            schema=dataset.schema,
            profile=dataset.profile,
        ),
    )


def dataset_summary_json(summary: DatasetSummary) -> JsonObject:
    """Give MLflow's `DatasetSummary`."""
    return compact(
        experiment_id=summary.experiment_id,
        name=summary.name,
        digest=summary.digest,
        context=summary.context,
    )


def dataset_summary_from(fields: Fields) -> DatasetSummary:
    """Read MLflow's `DatasetSummary`."""
    return DatasetSummary(
        experiment_id=fields.text("experiment_id"),
        name=fields.text("name"),
        digest=fields.text("digest"),
        context=fields.text_or_none("context") or None,
    )


def dataset_inputs_from(items: Iterable[Fields]) -> tuple[DatasetInput, ...]:
    """Read a list of MLflow's `DatasetInput`."""
    return tuple(
        DatasetInput(_dataset_from(item.nested("dataset")), item.pairs("tags")) for item in items
    )


def model_inputs_from(items: Iterable[Fields]) -> tuple[ModelInput, ...]:
    """Read a list of MLflow's `ModelInput`."""
    return tuple(ModelInput(item.text("model_id")) for item in items)


def model_outputs_from(items: Iterable[Fields]) -> tuple[ModelOutput, ...]:
    """Read a list of MLflow's `ModelOutput`."""
    return tuple(ModelOutput(item.text("model_id"), item.integer_or("step", 0)) for item in items)


def logged_model_json(model: LoggedModel) -> JsonObject:
    """Give MLflow's `LoggedModel`: info and data."""
    return {
        "info": compact(
            model_id=model.model_id,
            experiment_id=model.experiment_id,
            name=model.name,
            creation_timestamp_ms=model.creation_time_ms,
            last_updated_timestamp_ms=model.last_update_time_ms,
            artifact_uri=model.artifact_uri,
            status=model.status.value,
            model_type=model.model_type,
            source_run_id=model.source_run_id,
            tags=pairs_json(model.tags),
        ),
        "data": compact(
            params=pairs_json(model.params),
            metrics=[metric_json(metric) for metric in model.metrics],
        ),
    }


def logged_model_from(fields: Fields) -> LoggedModel:
    """Read MLflow's `LoggedModel`."""
    info, data = fields.nested("info"), fields.nested("data")
    return LoggedModel(
        model_id=info.text("model_id"),
        experiment_id=info.text("experiment_id"),
        name=info.text_or("name"),
        artifact_uri=info.text_or("artifact_uri"),
        creation_time_ms=info.integer_or("creation_timestamp_ms", 0),
        last_update_time_ms=info.integer_or("last_updated_timestamp_ms", 0),
        status=model_status_from(info) or ModelStatus.UNSPECIFIED,
        model_type=info.text_or_none("model_type"),
        source_run_id=info.text_or_none("source_run_id"),
        tags=info.pairs("tags"),
        params=data.pairs("params"),
        metrics=tuple(metrics_from(data, "metrics")),
    )


def run_status_from(fields: Fields) -> RunStatus | None:
    """Read a run's status by its name, or by its number in the proto; None if it isn't there."""
    text = _enum_text(fields, "status", _RUN_STATUS_NUMBERS)
    if text is None:
        return None
    if text not in RunStatus.__members__:
        raise InvalidValueError(
            f"Invalid run status '{text}'. It must be one of {', '.join(RunStatus.__members__)}."
        )
    return RunStatus(text)


def model_status_from(fields: Fields) -> ModelStatus | None:
    """Read a logged model's status by its name or number; None if it isn't there."""
    text = _enum_text(fields, "status", _MODEL_STATUS_NUMBERS)
    if text is None:
        return None
    if text not in _MODEL_STATUS_NUMBERS.values():
        raise InvalidValueError(
            f"Invalid model status '{text}'. "
            f"It must be one of {', '.join(_MODEL_STATUS_NUMBERS.values())}."
        )
    return ModelStatus(text)


def lifecycle_stage_from(fields: Fields) -> LifecycleStage:
    """Read a lifecycle stage; active if it isn't there."""
    text = fields.text_or("lifecycle_stage", LifecycleStage.ACTIVE)
    return LifecycleStage.DELETED if text == LifecycleStage.DELETED else LifecycleStage.ACTIVE


def _dataset_from(fields: Fields) -> Dataset:
    return Dataset(
        name=fields.text("name"),
        digest=fields.text("digest"),
        source_type=fields.text("source_type"),
        source=fields.text("source"),
        schema=fields.text_or_none("schema"),
        profile=fields.text_or_none("profile"),
    )


def _enum_text(fields: Fields, name: str, numbers: Mapping[int, str]) -> str | None:
    """Protobuf's JSON lets an enum be its name or its number."""
    if not fields.has(name):
        return None
    try:
        number = fields.integer(name)
    except InvalidValueError:
        return fields.text(name)
    return numbers.get(number, str(number))


_PLAIN_MEMBERS = 4
_INT64_END = 2**63
_RUN_STATUS_NUMBERS = dict(enumerate(RunStatus, start=1))
_MODEL_STATUS_NUMBERS = dict(enumerate(ModelStatus))
