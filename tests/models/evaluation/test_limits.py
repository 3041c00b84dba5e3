"""Thresholds: MLflow's, and those of a step."""

from __future__ import annotations

import importlib
import math

import pytest

from flowrun.errors import InvalidValueError
from flowrun.models.evaluation.evaluate import validate_evaluation_results
from flowrun.models.evaluation.limits import (
    Limit,
    MetricThreshold,
    ModelValidationFailedException,
)
from flowrun.models.evaluation.result import EvaluationResult

METRICS = {"accuracy_score": 0.8, "root_mean_squared_error": 2.0, "nothing": math.nan}
CHAMPION = {"accuracy_score": 0.7, "root_mean_squared_error": 2.0}
WAYS = {"accuracy_score": True, "root_mean_squared_error": False, "own": None}

HELD = {
    "at least": Limit("accuracy", minimum=0.8),
    "at most": Limit("rmse", maximum=2),
    "between": Limit("accuracy_score", minimum=0.5, maximum=0.9),
    "better by a number": Limit("accuracy", gain=0.1),
    "better by a share": Limit("accuracy", share=0.142),
    "not worse": Limit("rmse", gain=0),
}
FAILED = {
    "too little": (
        Limit("accuracy", minimum=0.9),
        "accuracy is 0.8, but must be at least 0.9",
    ),
    "too much": (Limit("rmse", maximum=1.5), "rmse is 2, but must be at most 1.5"),
    "no number": (Limit("nothing", maximum=1), "nothing is nan, but must be at most 1"),
    "not better enough": (
        Limit("accuracy", gain=0.2),
        "accuracy is 0.8, the champion's is 0.7: it must be greater by at least 0.2",
    ),
    "not better": (
        Limit("rmse", gain=0.01),
        "rmse is 2, the champion's is 2: it must be less by at least 0.01",
    ),
    "worse": (
        Limit("accuracy", gain=0, greater_is_better=False),
        "accuracy is 0.8, the champion's is 0.7: it must not be greater",
    ),
    "not better by its share": (
        Limit("accuracy", share=0.2),
        "accuracy is 0.8, the champion's is 0.7: it must be greater by at least 20 % of that",
    ),
    "not there": (
        Limit("auc", minimum=0.5),
        "metric auc was not computed (there are: accuracy_score, root_mean_squared_error, nothing)",
    ),
    "not the champion's": (Limit("nothing", gain=1), "metric nothing was not computed for"),
}


@pytest.mark.parametrize("limit", HELD.values(), ids=HELD)
def test_a_threshold_that_is_reached_says_nothing(limit: Limit) -> None:
    assert limit.failures(METRICS, CHAMPION, WAYS) == []


@pytest.mark.parametrize(("limit", "message"), FAILED.values(), ids=FAILED)
def test_a_threshold_that_is_missed_names_metric_value_and_limit(
    limit: Limit, message: str
) -> None:
    (said,) = limit.failures(METRICS, CHAMPION, WAYS)
    assert said.startswith(message)


def test_without_a_champion_nothing_is_asked_beside_it() -> None:
    assert Limit("accuracy", minimum=0.8, gain=5).failures(METRICS, None, WAYS) == []


def test_results_are_held_to_thresholds_as_in_mlflow() -> None:
    result, other = EvaluationResult(METRICS, {}, "r"), EvaluationResult(CHAMPION, {}, "r")
    thresholds = {
        "accuracy_score": MetricThreshold(0.75, 0.05, 0.1, greater_is_better=True),
        "root_mean_squared_error": MetricThreshold(3, greater_is_better=False),
    }
    validate_evaluation_results(thresholds, result, other)
    with pytest.raises(ModelValidationFailedException, match=r"accuracy_score is 0[.]7, but must"):
        validate_evaluation_results(thresholds, other, result)
    with pytest.raises(ModelValidationFailedException, match="not computed for the champion"):
        validate_evaluation_results(thresholds, result)


WRONG = {
    "no direction": {"threshold": 1},
    "no limit": {"greater_is_better": True},
    "a text": {"threshold": "1", "greater_is_better": True},
    "no gain": {"min_absolute_change": 0, "greater_is_better": True},
    "a share that is none": {"min_relative_change": 1.5, "greater_is_better": True},
    "a whole share": {"min_relative_change": 1, "greater_is_better": True},
}


@pytest.mark.parametrize("arguments", WRONG.values(), ids=WRONG)
def test_a_threshold_that_makes_no_sense_is_refused_in_mlflows_words(
    arguments: dict[str, object],
) -> None:
    theirs = importlib.import_module("mlflow.models.evaluation.validation")
    with pytest.raises(theirs.MetricThresholdClassException) as expected:
        theirs.MetricThreshold(**arguments)
    with pytest.raises(InvalidValueError) as caught:
        MetricThreshold(**arguments)  # type: ignore[arg-type]  # that is the point
    assert caught.value.message == expected.value.message
