"""Drawings of a plan."""

from __future__ import annotations

import json

import pytest

from flowrun.plan.draw import plan_to_dot, plan_to_json, plan_to_lines, plan_to_mermaid
from tests.plan.planning import plan_of

FILE = """
name: wine
entry_points:
  train:
    parameters: {data: path, lr: float, seed: {type: int, default: 7}}
    command: "train {data} --lr {lr} --seed {seed}"
    outputs: {model: {path: m, type: model}}
    secrets: [TOKEN]
  main:
    parameters: {lr: {type: float, default: 0.1}}
    steps:
      prepare: {run: 'prepare "x"', env: {A: b}}
      train:
        matrix: {lr: ['${{ params.lr }}', 0.5]}
        with: {data: '${{ steps.prepare.outputs.d }}', lr: '${{ matrix.lr }}'}
      best: {select: {from: train, metric: rmse, mode: min}}
      register: {register: {name: wine, model: '${{ steps.best.outputs.model }}'}, needs: prepare}
      promote:
        promote: {name: wine, version: '${{ steps.register.outputs.version }}', to: Staging}
        if: '${{ champion is none }}'
      lonely: {run: echo}
"""


def test_lines_show_each_step_below_the_last_it_needs() -> None:
    assert plan_to_lines(plan_of(FILE)) == [
        "wine: main (lr=0.1)",
        '├─ prepare  prepare "x"',
        "│  ├─ train[lr=0.1]  train {data} --lr 0.1 --seed 7",
        "│  └─ train[lr=0.5]  train {data} --lr 0.5 --seed 7",
        "│     └─ best  select the min of rmse among 2  (also after train[lr=0.1])",
        "│        └─ register  register wine",
        "│           └─ promote  promote wine to Staging  if champion is none",
        "└─ lonely  echo",
    ]


def test_a_chain_of_a_thousand_steps_is_drawn_in_reasonable_width() -> None:
    lines = [f"      s{n}: {{run: ls, needs: s{n - 1}}}" for n in range(1, 1000)]
    text = "entry_points:\n  main:\n    steps:\n      s0: {run: ls}\n" + "\n".join(lines)
    drawn = plan_to_lines(plan_of(text))
    assert len(drawn) == 1001
    assert max(map(len, drawn)) < 200


def test_mermaid_leaves_out_what_follows_from_other_edges() -> None:
    assert plan_to_mermaid(plan_of(FILE)).splitlines() == [
        "flowchart TD",
        '  s0["prepare"]',
        '  s1["train#91;lr=0.1#93;"]',
        '  s2["train#91;lr=0.5#93;"]',
        '  s3("best")',
        '  s4("register")',
        '  s5("promote")',
        '  s6["lonely"]',
        "  s0 --> s1",
        "  s0 --> s2",
        "  s1 --> s3",
        "  s2 --> s3",
        "  s3 --> s4",
        "  s4 --> s5",
    ]


def test_dot_names_the_steps() -> None:
    lines = plan_to_dot(plan_of(FILE)).splitlines()
    assert lines[0] == "digraph plan {"
    assert '  "prepare" -> "train[lr=0.1]";' in lines
    assert '  "prepare" -> "register";' not in lines
    assert lines[-1] == "}"


HOSTILE = '"];click s0 "javascript:x'


@pytest.mark.parametrize("draw", [plan_to_mermaid, plan_to_dot])
def test_values_can_not_leave_their_label(draw: object) -> None:
    assert callable(draw)
    plan = plan_of(FILE.replace("lr: float", "lr: string"), params={"lr": "1"})
    text = FILE.replace("lr: float", "lr: string").replace("0.5]", "'" + HOSTILE + "']")
    drawn = draw(plan_of(text))
    assert HOSTILE not in drawn
    assert len(drawn.splitlines()) == len(draw(plan).splitlines())


def test_json_tells_everything_but_secrets() -> None:
    told = json.loads(json.dumps(plan_to_json(plan_of(FILE))))
    steps = {step["id"]: step for step in told.pop("steps")}
    assert told == {
        "project": "wine",
        "entry_point": "main",
        "is_pipeline": True,
        "params": {"lr": "0.1"},
        "sub_projects": {},
        "warnings": [],
    }
    assert list(steps) == [
        "prepare", "train[lr=0.1]", "train[lr=0.5]", "best", "register", "promote", "lonely",
    ]  # fmt: skip
    assert steps["train[lr=0.5]"] == {
        "id": "train[lr=0.5]",
        "name": "train",
        "place": "MLproject:12:7",
        "project": "",
        "caller": "",
        "needs": ["prepare"],
        "kind": "command",
        "entry_point": "train",
        "command": "train {data} --lr {lr} --seed {seed}",
        "defaults": {"seed": "7"},
        "arguments": {"data": "${{ steps.prepare.outputs.d }}", "lr": 0.5},
        "matrix": {"lr": 0.5},
        "conditions": [],
        "continue_on_error": False,
        "env": {"kind": "implied", "path": None, "image": None},
        "variables": {},
        "secrets": ["TOKEN"],
        "resources": {"cpus": 1.0, "memory_bytes": 0},
        "outputs": {"model": {"path": "m", "type": "model"}},
        "metrics": None,
        "cache": {"is_on": True, "expires_s": None, "scope": "store"},
        "sources": None,
    }
    assert steps["promote"]["conditions"] == ["${{ champion is none }}"]
