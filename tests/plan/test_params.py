"""Parameter values, from the command line and from files."""

from __future__ import annotations

import pytest

from flowrun.errors import PlanError, SpecError
from flowrun.spec.params_file import parse_params
from tests.plan.planning import plan_of, step_of, values_of

TYPED = """
entry_points:
  main:
    parameters:
      size: {type: enum, values: [small, on], default: on}
      sizes: {type: list, default: [8, a]}
      options: {type: json, default: {deep: [1]}}
      tag: {pattern: "v[0-9]+", default: v1}
    steps:
      all:
        run: train {sizes} {options} {count} {first}
        with:
          sizes: ${{ params.sizes }}
          options: ${{ params.options }}
          count: ${{ params.sizes | length }}
          first: ${{ params.sizes | first }}
      inner: {entry_point: inner, with: {sizes: "${{ params.sizes }}"}}
  inner:
    parameters: {sizes: list}
    steps:
      last: {run: "train {n}", with: {n: "${{ params.sizes | last }}"}}
"""

WRONG = {
    "enum": ({"size": "off"}, "-P size: 'off' is not small or on."),
    "list": ({"sizes": "8, 16"}, "-P sizes: '8, 16' is not a list in JSON, such as [1, 2]"),
    "list that is a map": ({"sizes": "{}"}, "-P sizes: '{}' is not a list in JSON, such as [1, 2]"),
    "json": ({"options": "{a}"}, "-P options: '{a}' is not JSON"),
    "deep json": ({"options": "[" * 9000}, f"-P options: '{'[' * 9000}' is not JSON"),
    "pattern": ({"tag": "v1 "}, "-P tag: 'v1 ' does not fit the pattern v[0-9]+"),
}


@pytest.mark.parametrize(("params", "message"), WRONG.values(), ids=WRONG.keys())
def test_a_value_that_does_not_fit_its_type_is_told(params: dict[str, str], message: str) -> None:
    with pytest.raises(PlanError) as caught:
        plan_of(TYPED, params=params)
    assert str(caught.value) == message


def test_lists_and_json_are_values_in_expressions_and_json_in_commands() -> None:
    plan = plan_of(TYPED, params={"sizes": '["x", {"y": 1}]'})
    assert plan.params["options"] == '{"deep": [1]}'
    assert plan.params["size"] == "on"
    values = values_of(step_of(plan, "all"))
    assert values["options"] == "${{ params.options }}"
    assert (values["count"], values["first"]) == (2, "x")
    assert values_of(step_of(plan_of(TYPED), "inner/last")) == {"n": "a"}


def test_a_file_gives_texts_as_they_are_written() -> None:
    read = parse_params("lr: 1e-3\nn: 010\non: yes\nxs: [1, {a: b}]\n'': x\n", "F")
    texts = {"lr": "1e-3", "n": "010", "on": "yes", "xs": '[1, {"a": "b"}]', "": "x"}
    assert read.texts == texts
    assert str(read.marks["xs"]) == "F:4:1"
    assert parse_params('{"lr": 0.10}', "F").texts == {"lr": "0.10"}
    assert parse_params("", "F").texts == {}


MISTAKES = {
    "no map": ("[1]", "F:1:1: a file of parameters is a map of names to values"),
    "no value": (
        "a:\nb: 1\na: 2\n",
        "F:1:1: 'a' has no value; leave it out for its default\n"
        "F:3:1: 'a' is already there, in line 1",
    ),
}


@pytest.mark.parametrize(("text", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_file_is_told_all_its_mistakes(text: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_params(text, "F")
    assert str(caught.value) == message
