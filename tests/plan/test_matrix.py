"""Matrices: combinations, what is left out of them, and what comes to them."""

from __future__ import annotations

import textwrap

import pytest

from flowrun.errors import SpecError
from tests.plan.planning import plan_of


def _matrix(text: str) -> dict[str, dict[str, object]]:
    """Give the instances of a step with this matrix, by what stands in brackets."""
    plan = plan_of(
        "entry_points:\n"
        "  main:\n"
        "    parameters: {lrs: {type: list, default: [0.5, 1]}, top: {type: int, default: 3}}\n"
        f"    steps: {{s: {{run: x, matrix: {textwrap.dedent(text)}}}}}\n"
    )
    return {
        step.id.partition("[")[2][:-1]: {name: value.raw for name, value in step.matrix.items()}
        for step in plan.steps
    }


GITHUB = """
  {fruit: [apple, pear], animal: [cat, dog], include: [
    {color: green}, {color: pink, animal: cat}, {fruit: apple, shape: circle}, {fruit: banana},
    {fruit: banana, animal: cat}]}
"""
"""GitHub Docs, "Expanding or adding matrix configurations"."""


def test_include_is_what_it_is_in_github_actions() -> None:
    assert _matrix(GITHUB) == {
        "fruit=apple,animal=cat": {
            "fruit": "apple",
            "animal": "cat",
            "color": "pink",
            "shape": "circle",
        },
        "fruit=apple,animal=dog": {
            "fruit": "apple",
            "animal": "dog",
            "color": "green",
            "shape": "circle",
        },
        "fruit=pear,animal=cat": {"fruit": "pear", "animal": "cat", "color": "pink"},
        "fruit=pear,animal=dog": {"fruit": "pear", "animal": "dog", "color": "green"},
        "fruit=banana": {"fruit": "banana"},
        "fruit=banana,animal=cat": {"fruit": "banana", "animal": "cat"},
    }


INSTANCES = {
    "exclude one": (
        "{os: [a, b], v: [1, 2, 3], exclude: [{os: a, v: 1}, {v: 2}]}",
        ["os=a,v=3", "os=b,v=1", "os=b,v=3"],
    ),
    "exclude, then include": ("{v: [1, 2], exclude: [{v: 1}], include: [{v: 1}]}", ["v=2", "v=1"]),
    "include alone": ("{include: [{a: 1, b: x}, {a: 2}]}", ["a=1,b=x", "a=2"]),
    "expressions": (
        "{v: [1, 2], exclude: [{v: '${{ params.top - 1 }}'}], include: [{v: '${{ params.top }}'}]}",
        ["v=1", "v=3"],
    ),
    "an axis that is a list": ("{lr: '${{ params.lrs }}', k: [1]}", ["lr=0.5,k=1", "lr=1,k=1"]),
    "odd values": ("{v: [1, 'a,b'], include: [{v: 'c]'}]}", ["v=1", "v=#2", "v=#3"]),
}


@pytest.mark.parametrize(("text", "ids"), INSTANCES.values(), ids=INSTANCES.keys())
def test_the_instances_are(text: str, ids: list[str]) -> None:
    assert list(_matrix(text)) == ids


WRONG = {
    "nothing left": (
        "{v: [1, 2], exclude: [{v: 1}, {v: 2}]}",
        "MLproject:4:13: the matrix of step 's' has no combination left",
    ),
    "twice": (
        "{include: [{a: 1}, {a: 1}]}",
        "MLproject:4:56: 'include' in the matrix of step 's' makes 's[a=1]' twice",
    ),
    "no list": (
        "{v: '${{ params.top }}'}",
        "MLproject:4:37: axis 'v' of step 's' must come to a list of single values, one or more",
    ),
}


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG.keys())
def test_a_matrix_that_makes_no_sense_is_told(text: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        _matrix(text)
    assert str(caught.value) == message
