from __future__ import annotations

import json
from functools import partial
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowrun.errors import InvalidValueError
from flowrun.tracking import wire
from flowrun.tracking.entities import (
    Dataset,
    DatasetInput,
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

T = TypeVar("T")

names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)
times = st.integers(0, 2**62)
tags = st.dictionaries(
    names, st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8), max_size=3
)
stages = st.sampled_from(LifecycleStage)
some_text = st.none() | names
points = partial(
    st.builds,
    Metric,
    key=names,
    value=st.floats(allow_nan=False),
    timestamp_ms=times,
    step=st.integers(-(2**40), 2**40),
    model_id=some_text,
    run_id=some_text,
)
metrics = points(dataset_name=st.none(), dataset_digest=st.none()) | points(
    dataset_name=names, dataset_digest=names
)
datasets = st.builds(
    Dataset,
    name=names,
    digest=names,
    source_type=names,
    source=names,
    schema=some_text,
    profile=some_text,
)
runs = st.builds(
    Run,
    info=st.builds(
        RunInfo,
        run_id=names,
        experiment_id=names,
        run_name=names,
        user_id=names,
        status=st.sampled_from(RunStatus),
        start_time_ms=times,
        end_time_ms=st.none() | st.integers(1, 2**62),
        artifact_uri=names,
        lifecycle_stage=stages,
    ),
    params=tags,
    metrics=st.lists(metrics, max_size=3).map(
        lambda points: {point.key: point for point in points}
    ),
    tags=tags,
    dataset_inputs=st.lists(st.builds(DatasetInput, dataset=datasets, tags=tags), max_size=2).map(
        tuple
    ),
    model_inputs=st.lists(st.builds(ModelInput, model_id=names), max_size=2).map(tuple),
    model_outputs=st.lists(
        st.builds(ModelOutput, model_id=names, step=st.integers(0, 9)), max_size=2
    ).map(tuple),
)
experiments = st.builds(
    Experiment,
    experiment_id=names,
    name=names,
    artifact_location=names,
    lifecycle_stage=stages,
    creation_time_ms=times,
    last_update_time_ms=times,
    tags=tags,
)
logged_models = st.builds(
    LoggedModel,
    model_id=names,
    experiment_id=names,
    name=names,
    artifact_uri=names,
    creation_time_ms=times,
    last_update_time_ms=times,
    status=st.sampled_from(ModelStatus),
    model_type=some_text,
    source_run_id=some_text,
    tags=tags,
    params=tags,
    metrics=st.lists(metrics, max_size=2).map(tuple),
)


def over_the_wire(value: JsonObject) -> Fields:
    return Fields(json.loads(json.dumps(value, allow_nan=False)))


@given(runs)
def test_a_run_comes_back_from_its_json(run: Run) -> None:
    assert wire.run_from(over_the_wire(wire.run_json(run))) == run


@given(experiments)
def test_an_experiment_comes_back_from_its_json(experiment: Experiment) -> None:
    sent = over_the_wire(wire.experiment_json(experiment))
    assert wire.experiment_from(sent) == experiment


@given(logged_models)
def test_a_logged_model_comes_back_from_its_json(model: LoggedModel) -> None:
    assert wire.logged_model_from(over_the_wire(wire.logged_model_json(model))) == model


def test_what_is_unset_is_left_out() -> None:
    info = RunInfo(
        "r1", "0", "calm-owl-1", "ada", RunStatus.RUNNING, 5, None, "", LifecycleStage.ACTIVE
    )
    assert wire.run_json(Run(info)) == {
        "info": {
            "run_id": "r1",
            "run_uuid": "r1",
            "run_name": "calm-owl-1",
            "experiment_id": "0",
            "user_id": "ada",
            "status": "RUNNING",
            "start_time": 5,
            "lifecycle_stage": "active",
        },
        "data": {},
        "inputs": {},
        "outputs": {},
    }


def test_nan_is_a_text_on_the_wire() -> None:
    sent = wire.metric_json(Metric("loss", float("nan"), 5))
    assert sent == {"key": "loss", "value": "NaN", "timestamp": 5, "step": 0}


def test_a_status_may_be_its_number() -> None:
    assert wire.run_status_from(Fields({"status": 3})) is RunStatus.FINISHED
    assert wire.model_status_from(Fields({"status": 2})) is ModelStatus.READY


def test_an_unknown_status_is_refused() -> None:
    with pytest.raises(InvalidValueError) as caught:
        wire.run_status_from(Fields({"status": "DONE"}))
    assert str(caught.value) == (
        "Invalid run status 'DONE'. It must be one of RUNNING, SCHEDULED, FINISHED, FAILED, KILLED."
    )
