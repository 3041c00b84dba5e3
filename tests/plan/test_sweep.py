"""What a sweep tries: spaces in words and files, grids, chance, and what trials are called."""

from __future__ import annotations

import pytest

from flowrun.errors import SpecError, UsageError
from flowrun.plan.build import LoadedProject, build_plan
from flowrun.plan.plan import FanOut
from flowrun.plan.sweep import Swept, draw, grid_of, is_grid, trial_name
from flowrun.spec.parse_space import (
    Choice,
    Dimension,
    Range,
    Space,
    dimension_of_words,
    fitted,
    parse_space,
)
from tests.plan.planning import no_project
from tests.spec.reading import read

WORDS: dict[str, tuple[str, Dimension]] = {
    "values": ("0.1, a,b c", Choice(("0.1", "a", "b c"))),
    "one value": ("relu", Choice(("relu",))),
    "whole numbers": ("2..8", Range(2, 8, is_int=True)),
    "numbers": ("-1..0.5", Range(-1, 0.5)),
    "steps": ("0..100:10", Range(0, 100, is_int=True, step=10)),
    "logarithm": ("1e-4..1e-1:log", Range(1e-4, 0.1, is_log=True)),
    "no range": ("a..b", Choice(("a..b",))),
}


@pytest.mark.parametrize(("text", "meant"), WORDS.values(), ids=WORDS.keys())
def test_words_mean_values_or_a_range(text: str, meant: Dimension) -> None:
    assert dimension_of_words("x", text) == meant


WRONG_WORDS = {
    "empty": ("a,,b", "a value is empty, or there twice"),
    "twice": ("a,b,a", "a value is empty, or there twice"),
    "backwards": ("2..1", "the low end of a range must be less than its high end"),
    "logarithm of nothing": ("0..1:log", "a range by logarithm begins above 0"),
    "no step": ("0..1:0", "the step of a range must be more than 0"),
    "too large": ("0..1e999", "its ends are too large"),
}


@pytest.mark.parametrize(("text", "why"), WRONG_WORDS.values(), ids=WRONG_WORDS.keys())
def test_words_that_mean_nothing_are_refused(text: str, why: str) -> None:
    with pytest.raises(UsageError) as caught:
        dimension_of_words("x", text)
    assert f"-S x={text}: {why}" in caught.value.message


def test_a_file_says_the_same() -> None:
    text = "lr: {low: 1e-4, high: 0.1, log: true}\nn: {low: 1, high: 9, step: 2}\nk: [a, 1.50]\n"
    space, marks = parse_space(text, "F")
    assert space == {
        "lr": Range(1e-4, 0.1, is_log=True),
        "n": Range(1, 9, is_int=True, step=2),
        "k": Choice(("a", "1.50")),
    }
    assert str(marks["k"]) == "F:3:1"


def test_a_file_is_told_all_its_mistakes() -> None:
    text = "a: 1\nb: [1, 1]\nc: {low: 1}\nd: {low: 2, high: 1}\ne: {low: x, high: 2, lgo: 1}\n"
    with pytest.raises(SpecError) as caught:
        parse_space(text, "F")
    assert [line.partition(": ")[0] for line in str(caught.value).splitlines()] == [
        *("F:1:4", "F:2:4", "F:3:4", "F:4:4", "F:5:10", "F:5:22")
    ]
    with pytest.raises(SpecError, match="F:1:1: a search space is a map of parameters"):
        parse_space("", "F")


def test_a_space_is_fitted_to_the_types_of_the_parameters() -> None:
    project = read(
        """
        entry_points:
          main:
            parameters: {n: {type: int, max: 8}, lr: float, kind: {type: enum, values: [a, b]}}
            command: x
        """
    )
    parameters = project.entry_points["main"].parameters
    words = {"n": "1..9", "lr": "1..2", "kind": "a,c", "other": "1..3"}
    space = {name: dimension_of_words(name, text) for name, text in words.items()}
    made, problems = fitted(space, parameters, {})
    assert made["lr"] == Range(1, 2)
    assert made["other"] == Range(1, 3, is_int=True)
    assert problems == ["-S n: '9' is more than 8", "-S kind: 'c' is not a or b."]


def test_a_grid_is_all_combinations() -> None:
    space: Space = {
        "a": Choice(("x", "y")),
        "b": Range(0, 0.3, step=0.1),
        "n": Range(1, 2, is_int=True),
    }
    assert is_grid(space)
    grid = grid_of(space)
    assert len(grid) == 2 * 4 * 2
    assert grid[:3] == (
        {"a": "x", "b": "0.0", "n": "1"},
        {"a": "x", "b": "0.0", "n": "2"},
        {"a": "x", "b": "0.1", "n": "1"},
    )
    assert grid[-1]["b"] == "0.3"
    with pytest.raises(UsageError, match="a grid needs values or a step"):
        grid_of({"lr": Range(0, 1)})
    with pytest.raises(UsageError, match="at most 100,000 can be"):
        grid_of({"n": Range(1, 1e9, is_int=True)})


def test_chance_is_the_same_for_a_seed_and_within_the_ends() -> None:
    space = {
        "lr": Range(1e-4, 0.1, is_log=True),
        "n": Range(1, 100, is_int=True, is_log=True),
        "x": Range(-1, 1),
        "s": Range(0, 10, is_int=True, step=5),
    }
    every = [draw(space, 7, number) for number in range(200)]
    assert every == [draw(space, 7, number) for number in range(200)]
    assert all(1e-4 <= float(each["lr"]) <= 0.1 and 1 <= int(each["n"]) <= 100 for each in every)
    assert {each["s"] for each in every} == {"0", "5", "10"}
    assert 60 < sum(float(each["lr"]) < 10**-2.5 for each in every) < 140
    assert draw(space, 8, 0) != draw(space, 7, 0)


NAMES = {
    "values": ({"lr": "0.1", "k": "a b"}, "lr=0.1,k=a b"),
    "long numbers": ({"lr": "0.0123456789"}, "lr=0.0123457"),
    "odd": ({"path": "a/b"}, "trial 4"),
    "taken": ({"lr": "1"}, "trial 4"),
    "long": ({"text": "x" * 100}, "trial 4"),
}


@pytest.mark.parametrize(("values", "name"), NAMES.values(), ids=NAMES.keys())
def test_a_trial_is_called_after_its_values(values: dict[str, str], name: str) -> None:
    assert trial_name(values, 4, {"lr=1"}) == name


def test_the_plan_of_a_sweep_leaves_its_trials_open() -> None:
    text = "entry_points: {main: {parameters: {lr: float, n: int}, command: 'x {lr} {n}'}}"
    loaded = LoadedProject(read(text), None, lambda _: False)
    plan = build_plan(loaded, "main", {"n": "3"}, load=no_project, swept=Swept(("lr",), 2))
    assert (plan.is_sweep, plan.is_pipeline, dict(plan.params)) == (True, True, {"n": "3"})
    fan, end = plan.steps
    assert isinstance(fan.action, FanOut)
    assert (fan.id, end.id) == ("main[*]", "main")
    assert fan.action.items is None
