"""Conditions that somebody else looks at again, with another champion."""

from __future__ import annotations

import json

import pytest

from flowrun.plan.closed import closed_conditions, conditions_from_text, conditions_to_text, unmet
from flowrun.plan.expressions import ExpressionError, StepResult
from tests.plan.planning import plan_of, step_of

PROJECT = """
name: p
entry_points:
  main:
    parameters: {limit: {type: float, default: 0.5}}
    steps:
      train: {run: 'true'}
      promote:
        promote: {name: m, version: 1, to: Staging}
        needs: train
        if: "${{ CONDITION }}"
"""
RESULTS = {"train": StepResult("train", "succeeded", metrics={"rmse": 0.4})}
BETTER = "champion is none or steps.train.metrics.rmse < champion.metrics.rmse"
CASES = {
    "better": (BETTER, 0.5, None),
    "no champion": (BETTER, None, None),
    "worse": (
        BETTER,
        0.3,
        f"{BETTER} (steps.train.metrics.rmse = 0.4, champion.metrics.rmse = 0.3)",
    ),
    "a parameter": (
        "champion.metrics.rmse > params.limit",
        0.4,
        "champion.metrics.rmse > params.limit (champion.metrics.rmse = 0.4, params.limit = 0.5)",
    ),
    "of steps": ("success() and champion.metrics.rmse > 0.1", 0.4, None),
}


def _kept(condition: str, env: dict[str, str] | None = None) -> str:
    step = step_of(plan_of(PROJECT.replace("CONDITION", condition)), "promote")
    return conditions_to_text(closed_conditions(step, RESULTS, env=env or {}))


@pytest.mark.parametrize("case", CASES)
def test_a_condition_is_looked_at_again_with_another_champion(case: str) -> None:
    condition, rmse, told = CASES[case]
    champion = None if rmse is None else {"metrics": {"rmse": rmse}}
    assert unmet(conditions_from_text(_kept(condition)), champion) == told


def test_a_condition_without_a_champion_need_not_be_kept() -> None:
    assert _kept("steps.train.metrics.rmse < 1") == ""
    assert unmet(conditions_from_text(""), None) is None


def test_what_the_environment_said_is_not_written_down() -> None:
    text = _kept("champion is none or env.HOME == '/x'", {"HOME": "/root/secret"})
    assert "secret" not in text
    with pytest.raises(ExpressionError, match="run the pipeline again"):
        unmet(conditions_from_text(text), None)


FOREIGN = {
    "no JSON": "rmse < 1",
    "no list of ours": '{"text": "x"}',
    "names that are none": '[{"text": "champion", "names": [1]}]',
    "too deep": "[" * 90_000,
    "too long": json.dumps([{"text": "champion" + " " * 5_000 + "+ 1", "names": {}}]),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_what_flowrun_did_not_write_is_refused(case: str) -> None:
    with pytest.raises(ExpressionError, match="was not written by flowrun"):
        conditions_from_text(FOREIGN[case])


def test_a_foreign_condition_is_evaluated_in_the_sandbox() -> None:
    text = json.dumps([{"text": "champion.__class__.__mro__", "names": {}}])
    with pytest.raises(ExpressionError):
        unmet(conditions_from_text(text), {"metrics": {}})
