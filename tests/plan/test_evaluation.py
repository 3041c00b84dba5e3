"""An `evaluate` in a plan: a command of its own, with all that a command has."""

from __future__ import annotations

import shlex

from flowrun.plan.command import command_line
from flowrun.plan.draw import plan_to_lines
from flowrun.plan.plan import CommandAction
from tests.plan.planning import needs_of, plan_of, step_of, values_of

PIPELINE = """
python_env: python_env.yaml
entry_points:
  main:
    parameters: {least: {type: float, default: 0.9}}
    env: {LEVEL: 1}
    steps:
      train: {run: ls, outputs: {model: {path: m, type: model}}}
      check:
        matrix: {set: [a.csv, b.csv]}
        evaluate:
          model: "${{ steps.train.outputs.model }}"
          data: "${{ matrix.set }}"
          type: classifier
          target: the label
          baseline: models:/wine@champion
          thresholds: {accuracy: {min: "${{ params.least }}"}}
        retries: 2
"""


def test_an_evaluation_is_a_command_in_the_environment_of_its_step() -> None:
    plan = plan_of(PIPELINE)
    assert needs_of(plan)["check[set=a.csv]"] == ("train",)
    step = step_of(plan, "check[set=b.csv]")
    assert step.env is not None
    assert step.env.path == "python_env.yaml"
    assert (list(step.variables), step.attempts.retries) == (["LEVEL"], 2)
    assert isinstance(step.action, CommandAction)
    assert step.action.baseline == "baseline"
    assert values_of(step) == {
        "model": "${{ steps.train.outputs.model }}",
        "data": "b.csv",
        "type": "classifier",
        "target": "the label",
        "threshold.accuracy.min": 0.9,
        "baseline": "models:/wine@champion",
    }
    assert "evaluate as classifier beside models:/wine@champion" in "\n".join(plan_to_lines(plan))


def test_its_options_are_quoted_as_any_value_is() -> None:
    action = step_of(plan_of(PIPELINE), "check[set=a.csv]").action
    assert isinstance(action, CommandAction)
    values = {"model": "/in/m", "data": "/in/a b.csv", "target": "$(rm -rf ~); 'x'"}
    words = shlex.split(command_line(action, values))
    assert words == [
        *("python", "-m", "flowrun.models.evaluation", "--model", "/in/m"),
        *("--data", "/in/a b.csv", "--target", "$(rm -rf ~); 'x'"),
    ]
