"""What expressions come to."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from flowrun.errors import PlanError
from flowrun.plan.expressions import StepResult, condition_holds, conditions_text, evaluate
from flowrun.plan.plan import Plan
from flowrun.spec.expressions import Code, ExpressionSyntaxError, names_in, path_of, value_of
from flowrun.spec.project import Mark, Value
from tests.plan.planning import plan_of, step_of

FILE = """
entry_points:
  inner:
    parameters: {rate: float, tag: {type: string, default: t}}
    outputs: {model: '${{ steps.fit.outputs.model }}', tag: '${{ params.tag }}!'}
    steps:
      fit: {run: 'fit {r}', with: {r: '${{ params.rate }}'}}
  main:
    parameters: {lr: {type: float, default: 0.5}, n: {type: int, default: 3},
      flag: {type: bool, default: false}, text: {type: string, default: abc}}
    steps:
      one: {run: one}
      two: {run: two}
      many: {run: many, matrix: {i: [1, 2, 3]}}
      call: {entry_point: inner, with: {rate: '${{ steps.one.outputs.rate }}'}}
      last: {run: last, needs: [one, two, many, call]}
"""

RESULTS = {
    "one": StepResult(
        "one",
        "succeeded",
        {"rate": "0.25", "path": "runs:/1/p"},
        {"rmse": 0.5, "val/loss": 2.0, "items": 7.0},
        {"lr": "0.1"},
        "run-1",
    ),
    "two": StepResult("two", "failed", run_id="run-2"),
    "many[i=1]": StepResult("many[i=1]", "succeeded", {"m": "a"}, {"rmse": 3.0}, run_id="r1"),
    "many[i=2]": StepResult("many[i=2]", "failed", {}, {}, run_id="r2"),
    "many[i=3]": StepResult("many[i=3]", "succeeded", {"m": "c"}, {"rmse": 1.0}, run_id="r3"),
    "call/fit": StepResult("call/fit", "succeeded", {"model": "models:/m-1"}),
    "call": StepResult("call", "succeeded", {"model": "models:/m-1"}),
}
ENV = {"HOME": "/home/me"}


def _value_of(text: str, plan: Plan | None = None, step_id: str = "last") -> object:
    step = step_of(plan or plan_of(FILE), step_id)
    return evaluate(Value(text, Mark("F", 1, 1)), step, RESULTS, env=ENV)


VALUES: dict[str, tuple[str, object]] = {
    "literal": ("plain", "plain"),
    "parameter": ("${{ params.lr }}", 0.5),
    "whole number": ("${{ params.n }}", 3),
    "yes or no": ("${{ params.flag }}", False),
    "arithmetic": ("${{ params.n * 2 + 1 }}", 7),
    "text around": ("lr=${{ params.lr }}, n=${{ params.n }}", "lr=0.5, n=3"),
    "metric": ("${{ steps.one.metrics.rmse }}", 0.5),
    "metric with a slash": ("${{ steps.one.metrics['val/loss'] }}", 2.0),
    "metric named like a method": ("${{ steps.one.metrics.items + 0 }}", 7.0),
    "status": ("${{ steps.two.status }}", "failed"),
    "run": ("${{ steps.one.run_id }}", "run-1"),
    "a step's parameter": ("${{ steps.one.params.lr }}", "0.1"),
    "list of a matrix": ("${{ steps.many.run_id }}", ["r1", "r2", "r3"]),
    "list without gaps": ("${{ steps.many.metrics.rmse }}", [3.0, 1.0]),
    "filter over a list": ("${{ steps.many.metrics.rmse | min }}", 1.0),
    "joined": ("${{ steps.many.outputs.m | join(',') }}", "a,c"),
    "environment": ("${{ env.HOME }}", "/home/me"),
    "choice": ("${{ 'a' if steps.one.metrics.rmse < 1 else 'b' }}", "a"),
    "default for what is missing": ("${{ steps.two.metrics.rmse | default(9) }}", 9),
    "is it there": ("${{ 'rmse' in steps.two.metrics }}", False),
    "text to number": ("${{ steps.one.outputs.rate | float * 2 }}", 0.5),
    "text method": ("${{ params.text.upper() }}", "ABC"),
    "braces as text": ("${{ '${{' }}", "${{"),
    "closing braces in text": ("${{ 'a}}b' }}", "a}}b"),
}


@pytest.mark.parametrize(("text", "value"), VALUES.values(), ids=VALUES.keys())
def test_comes_to(text: str, value: object) -> None:
    assert _value_of(text) == value


FAILURES = {
    "missing metric": (
        "${{ steps.one.metrics.mae }}",
        "step 'one' has no metric 'mae' (it has: rmse, val/loss, items)",
    ),
    "the same in a formula": (
        "${{ steps.one.metrics.mae + 1 }}",
        "step 'one' has no metric 'mae' (it has: rmse, val/loss, items)",
    ),
    "of a failed step": (
        "${{ steps.two.outputs.x }}",
        "step 'two' failed and has no output 'x' (it has: nothing)",
    ),
    "of all instances": (
        "${{ steps.many.metrics.mae }}",
        "no instance of step 'many' has the metric 'mae' (it has: rmse)",
    ),
    "environment": ("${{ env.NOPE }}", "there is no environment variable 'NOPE' (it has: HOME)"),
    "text in a formula": (
        "${{ steps.one.outputs.rate + 1 }}",
        'can only concatenate str (not "int") to str (what a command writes to $FLOWRUN_OUTPUT is '
        "text; | float makes it a number)",
    ),
    "division by zero": ("${{ 1 / 0 }}", "division by zero"),
    "text times number": ("${{ 'a' * 9 }}", "'*' works on numbers only"),
    "power": ("${{ 9 ** 99999 }}", "9 ** 99999 is too large"),
    "map": ("${{ steps.one.metrics or 1 }}", None),
    "list as text": (
        "${{ [1, 2] | string }}",
        "only a single value can become text; join(',') makes one of a list",
    ),
    "sum of texts": ("${{ ['a'] | sum }}", "'sum' works on numbers only"),
}


@pytest.mark.parametrize(("text", "message"), FAILURES.values(), ids=FAILURES.keys())
def test_what_can_not_be_evaluated_is_told_in_place(text: str, message: str | None) -> None:
    code = text.removeprefix("${{ ").removesuffix(" }}")
    with pytest.raises(PlanError) as caught:
        _value_of(text)
    is_map = f"{text} is a map; name one of its values"
    expected = f"${{{{ {code} }}}}: {message}" if message else is_map
    assert str(caught.value) == f"F:1:1: step 'last': {expected}"


LONG = "x" * 9_000
MULTIPLIERS = {
    "plus": "${{ " + " + ".join(["params.text"] * 12) + " }}",
    "join": "${{ params.text | list | join(params.text) }}",
    "default": "${{ params.text | map('int', params.text) | join }}",
    "list": "${{ params.text | map('int', params.text) | list }}",
    "side by side": "${{ params.text }}" * 12,
}


@pytest.mark.parametrize("text", MULTIPLIERS.values(), ids=MULTIPLIERS.keys())
def test_much_can_not_be_made_of_little(text: str) -> None:
    plan = plan_of(FILE, params={"text": LONG})
    with pytest.raises(PlanError, match="this comes to more than 100,000 characters"):
        _value_of(text, plan)


def test_a_long_text_can_be_passed_on_but_not_be_calculated_with() -> None:
    plan = plan_of(FILE, params={"text": "x" * 90_000})
    assert _value_of("${{ params.text }}", plan) == "x" * 90_000
    with pytest.raises(PlanError, match=r"'text' is too long for a formula \(90,000 characters\)"):
        _value_of("${{ params.text + 'a' }}", plan)


FORBIDDEN = [
    "params.text ~ params.text",
    "params.text | tojson",
    "params.text.__class__.__mro__",
    "''.__class__",
    "params.text.format(1)",
    "self",
    "cycler",
    "range(9)",
    "lipsum()",
    "params.text.join(['a'])",
    "params.text | replace('a', 'b')",
    "params.text | attr('x')",
    "namespace(a=1)",
    "[].append(1)",
]


@pytest.mark.parametrize("text", FORBIDDEN)
def test_an_expression_gets_at_nothing_else(text: str) -> None:
    with pytest.raises((ExpressionSyntaxError, PlanError)):
        _checked_value_of(text)


def _checked_value_of(text: str) -> object:
    names_in(Code(text))
    return _value_of(f"${{{{ {text} }}}}")


PATHS = ["a.b", "a['b c'].d", "a.items", "a.none", 'a["x-y"]']


@pytest.mark.parametrize("path", PATHS)
def test_a_plain_path_means_the_same_to_jinja(path: str) -> None:
    names: Mapping[str, object] = {
        "steps": {"a": {"b": 1, "b c": {"d": 2}, "items": 3, "none": 4, "x-y": 5}}
    }
    found: object = names
    for name in path_of(Code(f"steps.{path}")) or ():
        assert isinstance(found, Mapping)
        found = found[name]
    assert value_of(Code(f"(steps.{path})"), names) == found


def test_a_nested_pipeline_sees_its_callers_values_through_its_parameters() -> None:
    assert _value_of("${{ params.rate }}", step_id="call/fit") == 0.25
    assert _value_of("${{ params.rate * 2 }}", step_id="call/fit") == 0.5


def test_the_end_of_a_nested_pipeline_evaluates_its_results() -> None:
    assert _value_of("${{ steps.fit.outputs.model }}", step_id="call") == "models:/m-1"
    assert _value_of("${{ params.tag }}!", step_id="call") == "t!"


def test_a_passed_on_value_must_have_the_declared_type() -> None:
    results = {**RESULTS, "one": StepResult("one", "succeeded", {"rate": "fast"})}
    step = step_of(plan_of(FILE), "call/fit")
    with pytest.raises(PlanError) as caught:
        evaluate(step.arguments["r"], step, results, env={})
    assert str(caught.value) == (
        "MLproject:6:39: step 'call/fit': 'fast' for parameter 'rate' is not a float"
    )


def test_a_value_from_outside_is_never_evaluated() -> None:
    plan = plan_of(FILE, params={"text": "${{ env.HOME }}"})
    assert _value_of("${{ params.text }}", plan) == "${{ env.HOME }}"
    assert _value_of("<${{ params.text }}>", plan) == "<${{ env.HOME }}>"


def test_an_output_keeps_what_is_known_of_it() -> None:
    class Output(str):
        __slots__ = ()

    output = Output("runs:/1/x")
    results = {**RESULTS, "one": StepResult("one", "succeeded", {"rate": output})}
    step = step_of(plan_of(FILE), "last")
    value = Value("${{ steps.one.outputs.rate }}", Mark("F", 1, 1))
    assert evaluate(value, step, results, env={}) is output


CHAMPION = """
entry_points:
  main:
    steps:
      one: {run: one}
      promote:
        promote: {name: m, version: 1, to: Staging, reason: 'was ${{ champion.version }}'}
        needs: one
        if: champion is none or steps.one.metrics.rmse < champion.metrics.rmse
      plain:
        promote: {name: m, version: 1, to: Staging}
        if: steps.one.metrics.rmse > 0
"""


def test_a_promotion_can_be_compared_with_the_champion() -> None:
    step = step_of(plan_of(CHAMPION), "promote")

    def holds_against(champion: Mapping[str, object] | None) -> bool:
        return condition_holds(step, RESULTS, env={}, champion=lambda: champion)

    assert holds_against(None)
    assert holds_against({"metrics": {"rmse": 0.6}})
    assert not holds_against({"metrics": {"rmse": 0.4}})


def test_conditions_are_told_with_the_values_they_compare() -> None:
    step = step_of(plan_of(CHAMPION), "promote")

    def told(champion: Mapping[str, object] | None) -> str:
        return conditions_text(step, RESULTS, env={}, champion=lambda: champion)

    condition = "champion is none or steps.one.metrics.rmse < champion.metrics.rmse"
    assert told(None) == f"{condition} (steps.one.metrics.rmse = 0.5)"
    values = "steps.one.metrics.rmse = 0.5, champion.metrics.rmse = 0.4"
    assert told({"metrics": {"rmse": 0.4}}) == f"{condition} ({values})"


def test_the_champion_is_asked_for_only_if_it_is_mentioned() -> None:
    def champion() -> Mapping[str, object]:
        raise AssertionError

    assert condition_holds(step_of(plan_of(CHAMPION), "plain"), RESULTS, env={}, champion=champion)


def test_a_champion_that_is_not_there_has_nothing() -> None:
    step = step_of(plan_of(CHAMPION), "promote")
    with pytest.raises(PlanError, match=r"champion is none$"):
        evaluate(Value("${{ champion.version }}", Mark("F", 1, 1)), step, RESULTS, env={})


CONDITIONS = """
entry_points:
  main:
    parameters: {flag: {type: bool, default: false}}
    steps:
      good: {run: a}
      bad: {run: a}
      forgiven: {run: a, continue_on_error: true}
      after_bad: {run: a, needs: bad}
      declined: {run: a, if: false}
      x: {run: x, needs: [NEEDS], if: "CONDITION"}
"""
OUTCOMES = {
    "good": StepResult("good", "succeeded", {"ok": "false", "n": "3", "empty": ""}),
    "bad": StepResult("bad", "failed"),
    "forgiven": StepResult("forgiven", "failed"),
    "after_bad": StepResult("after_bad", "skipped"),
    "declined": StepResult("declined", "skipped"),
}


def test_an_empty_value_is_told_in_words() -> None:
    text = CONDITIONS.replace("NEEDS", "good").replace("CONDITION", "steps.good.outputs.empty")
    step = step_of(plan_of(text), "x")
    told = conditions_text(step, OUTCOMES, env={})
    assert told == "steps.good.outputs.empty (steps.good.outputs.empty is empty)"


HOLDS = {
    "always after a failure": ("bad", "always()", True),
    "failure after a failure": ("bad", "failure()", True),
    "success after a failure": ("bad", "success()", False),
    "not success after a failure": ("bad", "not success()", True),
    "failure far before": ("after_bad", "failure()", True),
    "success far after a failure": ("after_bad", "success()", False),
    "failure that is tolerated": ("forgiven", "failure()", False),
    "success with a tolerated failure": ("forgiven", "success()", True),
    "failure after a step that declined": ("declined", "failure()", False),
    "always after a step that declined": ("declined", "always()", True),
    "failure after success": ("good", "failure()", False),
    "failure of one of two": ("good, bad", "failure()", True),
    "one and the other": ("bad", "failure() and steps.good.outputs.n | int == 3", True),
    "without a status function": ("good", "steps.good.outputs.n", True),
    "after a failure without a status function": ("bad", "true", False),
    "text that says no": ("good", "steps.good.outputs.ok", False),
    "empty text": ("good", "steps.good.outputs.empty", False),
    "in braces": ("good", "${{ params.flag }}", False),
    "constant": ("good", "1", True),
}


@pytest.mark.parametrize(("needs", "condition", "holds"), HOLDS.values(), ids=HOLDS.keys())
def test_a_condition_holds(needs: str, condition: str, *, holds: bool) -> None:
    plan = plan_of(CONDITIONS.replace("NEEDS", needs).replace("CONDITION", condition))
    assert condition_holds(step_of(plan, "x"), OUTCOMES, env={}) is holds


def test_a_wrong_condition_is_told_in_place() -> None:
    plan = plan_of(
        CONDITIONS.replace("NEEDS", "good").replace("CONDITION", "steps.good.outputs.x > 1")
    )
    with pytest.raises(PlanError) as caught:
        condition_holds(step_of(plan, "x"), OUTCOMES, env={})
    assert str(caught.value) == (
        "MLproject:10:38: 'if' of step 'x': ${{ steps.good.outputs.x > 1 }}: "
        "step 'good' has no output 'x' (it has: ok, n, empty)"
    )


def test_the_end_of_a_pipeline_in_which_a_step_failed_can_not_be_reached() -> None:
    results = {**RESULTS, "call/fit": StepResult("call/fit", "failed")}
    with pytest.raises(PlanError) as caught:
        condition_holds(step_of(plan_of(FILE), "call"), results, env={})
    assert str(caught.value) == "its step 'call/fit' failed"
