"""Parts of a plan: what is left of it, and what must run."""

from __future__ import annotations

import pytest

from flowrun.errors import PlanError
from flowrun.plan.plan import Plan
from flowrun.plan.selection import Selection, select_steps
from tests.plan.planning import plan_of

TEXT = """\
entry_points:
  inner:
    steps:
      one: {run: echo 1}
      two: {run: echo 2, needs: one}
  main:
    steps:
      prepare: {run: echo p}
      train:
        run: "echo {lr}"
        matrix: {lr: [1, 2]}
        with: {lr: "${{ matrix.lr }}"}
        needs: prepare
      other: {run: echo o}
      score: {entry_point: inner, needs: train}
"""
TRAIN = ["train[lr=1]", "train[lr=2]"]
INNER = ["score/one", "score/two"]


FAN = """\
entry_points:
  main:
    steps:
      list: {run: echo}
      each: {foreach: "${{ steps.list.outputs.v }}", run: echo}
      after: {run: echo, needs: each}
"""
FAN_CASES: dict[str, tuple[Selection, list[str], list[str]]] = {
    "until": (Selection(until="each"), ["list", "each[*]", "each"], []),
    "from": (
        Selection(start="each"),
        ["list", "each[*]", "each", "after"],
        ["after", "each", "each[*]"],
    ),
    "until its beginning": (Selection(until="each[*]"), ["list", "each[*]", "each"], []),
    "one that will come": (
        Selection(rerun=("each[b.csv]",)),
        ["list", "each[*]", "each", "after"],
        ["each[b.csv]"],
    ),
}


@pytest.mark.parametrize(("selection", "kept", "rerun"), FAN_CASES.values(), ids=FAN_CASES.keys())
def test_a_step_that_becomes_many_is_selected_by_its_name(
    selection: Selection, kept: list[str], rerun: list[str]
) -> None:
    selected = select_steps(plan_of(FAN), selection)
    assert [step.id for step in selected.plan.steps] == kept
    assert sorted(selected.rerun) == rerun


@pytest.fixture
def plan() -> Plan:
    return plan_of(TEXT)


CASES: dict[str, tuple[Selection, list[str], list[str]]] = {
    "everything": (Selection(), ["prepare", *TRAIN, "other", *INNER, "score"], []),
    "until a matrix": (Selection(until="train"), ["prepare", *TRAIN], []),
    "until one of it": (Selection(until="train[lr=2]"), ["prepare", "train[lr=2]"], []),
    "until a step of a pipeline": (
        Selection(until="score/one"),
        ["prepare", *TRAIN, "score/one"],
        [],
    ),
    "from a step": (
        Selection(start="train"),
        ["prepare", *TRAIN, *INNER, "score"],
        [*TRAIN, *INNER, "score"],
    ),
    "from and until": (
        Selection(start="train", until="score/one"),
        ["prepare", *TRAIN, "score/one"],
        [*TRAIN, "score/one"],
    ),
    "some again": (
        Selection(rerun=("other", "prepare")),
        ["prepare", *TRAIN, "other", *INNER, "score"],
        ["other", "prepare"],
    ),
}


@pytest.mark.parametrize(("selection", "steps", "rerun"), CASES.values(), ids=CASES.keys())
def test_a_selection_is_a_plan(
    plan: Plan, selection: Selection, steps: list[str], rerun: list[str]
) -> None:
    selected = select_steps(plan, selection)
    assert sorted(step.id for step in selected.plan.steps) == sorted(steps)
    assert sorted(selected.rerun) == sorted(rerun)


def test_a_step_that_is_not_there_is_told_with_a_suggestion(plan: Plan) -> None:
    with pytest.raises(PlanError, match=r"--until trian: the plan has no step 'trian'.*'train'\?"):
        select_steps(plan, Selection(until="trian"))


def test_a_selection_of_nothing_is_refused(plan: Plan) -> None:
    with pytest.raises(PlanError, match="no step is both after the one and before the other"):
        select_steps(plan, Selection(start="other", until="prepare"))
