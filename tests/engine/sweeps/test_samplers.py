"""Samplers: lists, chance, and Optuna itself."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from flowrun.engine.sweeps.samplers import (
    SweepSpec,
    Trial,
    TrialState,
    check_names,
    make_sampler,
)
from flowrun.engine.sweeps.sweep_file import parse_sweep, sweep_text
from flowrun.errors import NotRepeatableError, UsageError
from flowrun.spec.parse_space import Choice, Range, Space

SPACE: Space = {
    "x": Range(-10, 10),
    "n": Range(1, 64, is_int=True, is_log=True),
    "s": Range(0, 1, step=0.25),
    "k": Choice(("a", "b")),
}
TPE = SweepSpec(SPACE, 30, "tpe", seed=3, metric="loss")


def _trial(number: int, values: dict[str, str], value: float | None, state: str) -> Trial:
    return Trial(number, f"main[{number}]", values, TrialState(state), value, f"r{number}", "why")


@pytest.mark.parametrize("name", ["tpe", "nsgaii", "qmc"])
def test_samplers_of_optuna_stay_in_the_space(name: str) -> None:
    sampler = make_sampler(replace(TPE, sampler=name))
    for number in range(12):
        values = dict(sampler.ask(number) or {})
        assert -10 <= float(values["x"]) <= 10
        assert 1 <= int(values["n"]) <= 64
        assert float(values["s"]) in {0, 0.25, 0.5, 0.75, 1}
        assert values["k"] in {"a", "b"}
        state, value = ("failed", None) if number == 3 else ("finished", float(values["x"]) ** 2)
        sampler.tell(_trial(number, values, value, state))


def test_what_was_before_has_a_say_in_what_comes() -> None:
    space = {"x": Range(-10, 10)}
    sampler = make_sampler(replace(TPE, space=space))
    for number in range(40):
        x = -10 + number / 2
        sampler.tell(_trial(number, {"x": str(x)}, (x - 4) ** 2, "finished"))
    asked = [float((sampler.ask(40 + number) or {})["x"]) for number in range(10)]
    assert sum(abs(x - 4) < 4 for x in asked) >= 8


def test_a_trial_that_does_worse_than_the_others_may_end() -> None:
    spec = replace(TPE, sampler="random", pruner="median", space={"x": Range(0, 1)})
    sampler = make_sampler(spec)
    for number in range(6):
        values = dict(sampler.ask(number) or {})
        assert not sampler.is_worse(number, [(step, 1.0) for step in range(5)])
        sampler.tell(_trial(number, values, 1.0, "finished"))
    assert sampler.ask(6) is not None
    assert not sampler.is_worse(6, [])
    assert sampler.is_worse(6, [(step, 9.0) for step in range(5)])
    assert sampler.ask(7) is not None
    assert not sampler.is_worse(7, [(step, 0.5) for step in range(5)])


def test_a_grid_with_a_pruner_is_the_same_grid() -> None:
    spec = SweepSpec({"k": Choice(("a", "b")), "n": Choice(("1",))}, None, "grid", 0)
    pruned = make_sampler(replace(spec, metric="m", pruner="hyperband"))
    plain = make_sampler(spec)
    asked = [plain.ask(number) for number in range(3)]
    assert asked == [{"k": "a", "n": "1"}, {"k": "b", "n": "1"}, None]
    assert [pruned.ask(number) for number in range(3)] == asked


WRONG = {
    "sampler": (replace(TPE, sampler="tpee"), "--sampler tpee: there are grid, random, tpe"),
    "pruner": (replace(TPE, pruner="x"), "--pruner x: there are median, halving, hyperband"),
    "no metric": (replace(TPE, metric=None), "--sampler tpe needs to know what is good"),
    "pruner without metric": (
        replace(TPE, metric=None, sampler="grid", pruner="median"),
        "--pruner median needs to know what is good",
    ),
    "no end": (replace(TPE, trials=None), "--sampler tpe has no end: add --trials N"),
}


@pytest.mark.parametrize(("spec", "message"), WRONG.values(), ids=WRONG.keys())
def test_what_does_not_go_together_is_told(spec: SweepSpec, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_names(spec)
    assert message in caught.value.message


def test_what_is_kept_of_a_sweep_is_read_back_whole() -> None:
    spec = replace(TPE, pruner="median", is_max=True, parallel=4)
    trials = (
        _trial(0, {"x": "0.1"}, 0.5, "finished"),
        replace(_trial(1, {"x": "0.2"}, None, "failed"), run_id=None),
    )
    assert parse_sweep(json.loads(sweep_text(spec, trials))) == (spec, trials)
    assert parse_sweep(json.loads(sweep_text(spec, ()))) == (spec, ())
    odds: list[object] = [None, [], {}, {"space": 1}, {"space": {"x": {}}}]
    for odd in odds:
        with pytest.raises(NotRepeatableError):
            parse_sweep(odd)
