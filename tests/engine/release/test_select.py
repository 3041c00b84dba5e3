"""The best of several, if it is good enough."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowrun.engine.events import StepStatus
from tests.engine.running import Heard, engine

PROJECT = """
name: p
entry_points:
  train:
    parameters: {loss: float}
    command: "printf '{{\\"loss\\": %s}}' {loss} > m.json"
    metrics: m.json
  main:
    parameters: {limit: {type: float, default: 0.25}}
    steps:
      train:
        matrix: {loss: [0.3, 0.2]}
        with: {loss: "${{ matrix.loss }}"}
      best:
        select: {from: train, metric: loss, mode: MODE, threshold: LIMIT}
"""
CASES = {
    "reached": ("min", "0.2", StepStatus.SUCCEEDED, "train[loss=0.2] (loss 0.2)"),
    "by a parameter": (
        "min",
        '"${{ params.limit }}"',
        StepStatus.SUCCEEDED,
        "train[loss=0.2] (loss 0.2)",
    ),
    "not reached": (
        "min",
        "0.1",
        StepStatus.FAILED,
        "the best candidate, train[loss=0.2], is not good enough: loss is 0.2 and has to be at "
        "most 0.1",
    ),
    "not reached from below": (
        "max",
        "0.9",
        StepStatus.FAILED,
        "the best candidate, train[loss=0.3], is not good enough: loss is 0.3 and has to be at "
        "least 0.9",
    ),
    "no number": (
        "max",
        "\"${{ 'much' }}\"",
        StepStatus.FAILED,
        "`threshold` comes to 'much', which is no number",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_best_has_to_reach_the_threshold(tmp_path: Path, case: str) -> None:
    mode, limit, status, detail = CASES[case]
    with engine(tmp_path) as running:
        text = PROJECT.replace("MODE", mode).replace("LIMIT", limit)
        step = running.plan_run(text, Heard()).carry_out().steps["best"]
    assert (step.status, step.detail) == (status, detail)
