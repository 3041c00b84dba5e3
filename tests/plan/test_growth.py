"""Steps that become many: what the plan grows by, and that no group is ever above its limit."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowrun.errors import FlowrunError, PlanError, SpecError
from flowrun.plan.fan import Growth, grow, grown
from flowrun.plan.groups import memberships
from flowrun.plan.matrix import items_of
from flowrun.plan.plan import FanIn, FanOut, Membership, Plan, PlannedStep
from flowrun.plan.schedule import (
    Begin,
    CancelRequested,
    CancelStep,
    Event,
    Finish,
    InvalidMoveError,
    Schedule,
    SkipStep,
    StartStep,
    StepFailed,
    StepKilled,
    StepsAdded,
    StepState,
    StepSucceeded,
)
from tests.plan.planning import needs_of, plan_of, step_of, values_of

TEXT = """
entry_points:
  train:
    parameters: {{x: {{type: int, max: 9}}}}
    command: train {{x}}
  inner:
    parameters: {{x: int}}
    steps:
      list: {{run: "list {{x}}", with: {{x: "${{{{ params.x }}}}"}}}}
      each: {{foreach: "${{{{ steps.list.outputs.xs }}}}", run: "do {{y}}",
        with: {{y: "${{{{ item }}}}"}}, max_parallel: 1, concurrency: gpu}}
      last: {{run: last, needs: each, concurrency: gpu}}
  main:
    steps:
      list: {{run: list}}
      many: {{foreach: "${{{{ steps.list.outputs.xs }}}}", entry_point: {called},
        with: {{x: "${{{{ item }}}}"}}, max_parallel: {limit}, fail_fast: {fail_fast},
        continue_on_error: {tolerated}}}
      other: {{matrix: {{n: [1, 2, 3]}}, max_parallel: 2, run: other, concurrency: {group}}}
      after: {{run: "after {{z}}", needs: [many], with: {{z: 1}}}}
      always: {{run: always, needs: [many, other], if: always()}}
"""


def _plan(
    *,
    called: str = "train",
    limit: int = 9,
    fail_fast: bool = False,
    tolerated: bool = False,
    group: str = "other",
) -> Plan:
    return plan_of(
        TEXT.format(
            called=called,
            limit=limit,
            fail_fast=str(fail_fast).lower(),
            tolerated=str(tolerated).lower(),
            group=group,
        )
    )


def _schedule(plan: Plan, slots: int = 99) -> Schedule:
    return Schedule(plan.steps, slots=slots, cpus=99, memory_bytes=0)


def _growth(plan: Plan, xs: Sequence[object], fan_id: str = "many[*]") -> Growth:
    known = {step.id: step for step in plan.steps}
    return grow(known[fan_id], items_of(list(xs)), known)


def _told(schedule: Schedule, *events: Event) -> list[list[str]]:
    return [[str(action) for action in schedule.on(event)] for event in events]


def _started(schedule: Schedule, *events: Event) -> list[str]:
    actions = [action for event in events for action in schedule.on(event)]
    return [action.step_id for action in actions if isinstance(action, StartStep)]


def test_a_foreach_is_planned_as_a_beginning_an_end_and_what_an_instance_looks_like() -> None:
    plan = _plan(called="inner")
    needs = needs_of(plan)
    assert needs["many[*]"] == ("list",)
    assert needs["many"] == ("list", "many[*]")
    assert needs["after"] == ("many",)
    looks = [step.id for step in plan.looks if step.id.startswith("many")]
    inner = ["list", "each[*]", "each[*]", "each", "last"]
    assert looks == ["many[*]", *(f"many[*]/{name}" for name in inner), "many[*]", "many"]


def test_a_plan_grows_by_an_instance_for_each_item_and_its_end_waits_for_them() -> None:
    plan = _plan()
    growth = _growth(plan, [3, 1, 3, "2"])
    ids = ["many[3]", "many[1]", "many[#3]", "many[2]"]
    assert [step.id for step in growth.steps] == ids
    assert [values_of(step) for step in growth.steps] == [{"x": each} for each in (3, 1, 3, "2")]
    assert {step.template for step in growth.steps} == {"many[*]"}
    assert growth.end.needs == ("list", "many[*]", *ids)
    ordered = [step.id for step in grown(plan, [growth]).steps]
    assert ordered[: ordered.index("many") + 1][-5:] == [*ids, "many"]


def test_what_grows_inside_of_what_has_grown_knows_what_it_looks_like() -> None:
    plan = _plan(called="inner")
    first = _growth(plan, [1])
    assert [step.id for step in first.steps] == [
        *(f"many[1]/{name}" for name in ("list", "each[*]", "each", "last")),
        "many[1]",
    ]
    plan = grown(plan, [first])
    second = _growth(plan, ["a", "b/c", "#2"], "many[1]/each[*]")
    assert [step.id for step in second.steps] == [
        *("many[1]/each[a]", "many[1]/each[#2]", "many[1]/each[#3]")
    ]
    assert {step.template for step in second.steps} == {"many[*]/each[*]"}
    assert step_of(grown(plan, [second]), "many[1]/each").needs[-3:] == tuple(
        step.id for step in second.steps
    )


ODD: dict[str, tuple[object, str]] = {
    "text": ("abc", "its foreach needs a list, but this is 'abc'"),
    "a number in JSON": ("5", "its foreach needs a list, but this is '5'"),
    "nothing": (None, "its foreach needs a list, but this is nothing"),
    "map": ({"a": 1}, "its foreach needs a list, but this is a map"),
    "list in a list": (
        '[1, ["a"]]',
        "item 2 of its foreach is a list; an item is a single value, or a map of them",
    ),
    "null": (
        "[null]",
        "item 1 of its foreach is nothing; an item is a single value, or a map of them",
    ),
    "deep map": (
        [{"a": {"b": 1}}],
        "item 1 of its foreach is a map; an item is a single value, or a map of them",
    ),
    "too many": ([1] * 10_001, "its foreach comes to 10,001 items; at most 10,000 can be"),
}


@pytest.mark.parametrize(("found", "message"), ODD.values(), ids=ODD.keys())
def test_what_is_no_list_of_items_is_refused_in_words(found: object, message: str) -> None:
    with pytest.raises(PlanError) as caught:
        items_of(found)
    assert str(caught.value) == message


def test_an_item_that_does_not_fit_the_parameter_is_told_with_its_place() -> None:
    with pytest.raises(SpecError) as caught:
        _growth(_plan(), [1, "x", 10])
    place = "MLproject:16:19"
    assert str(caught.value) == (
        f"{place}: 'x' for 'x' of step 'many' is not an int\n"
        f"{place}: '10' for 'x' of step 'many' is more than 9"
    )


def test_items_that_are_known_are_instances_from_the_beginning() -> None:
    plan = plan_of(
        """
        entry_points:
          main:
            parameters: {xs: {type: list, default: [a, {k: 1}, a]}, none: {type: list, default: []}}
            steps:
              one: {foreach: [1, b], run: "x {i}", with: {i: "${{ item }}"}}
              two: {foreach: "${{ params.xs }}", run: "x {i}", with: {i: "${{ item }}"}}
              no: {foreach: "${{ params.none }}", run: x}
              after: {run: "x {n}", needs: no, with: {n: "${{ steps.no.outputs.v | length }}"}}
        """
    )
    ids = ["one[1]", "one[b]", "two[a]", "two[#2]", "two[#3]", "after"]
    assert [step.id for step in plan.steps] == ids
    assert needs_of(plan)["after"] == ()


def test_an_empty_list_ends_at_once() -> None:
    plan = _plan()
    schedule = _schedule(plan)
    schedule.on(Begin())
    assert _started(schedule, StepSucceeded("list")) == ["many[*]"]
    assert _started(schedule, StepsAdded(_growth(plan, []))) == []
    assert _started(schedule, StepSucceeded("many[*]")) == ["many"]
    assert _started(schedule, StepSucceeded("many")) == ["after"]


def test_only_a_running_step_adds_steps() -> None:
    plan = _plan()
    schedule = _schedule(plan)
    schedule.on(Begin())
    with pytest.raises(InvalidMoveError, match=r"step 'many\[\*\]' does not run, and adds steps"):
        schedule.on(StepsAdded(_growth(plan, [1])))


def test_no_more_instances_are_under_way_than_allowed_the_first_ones_first() -> None:
    plan = _plan(called="inner", limit=2)
    schedule = _schedule(plan)
    _told(schedule, Begin(), StepSucceeded("list"))
    growth = _growth(plan, [1, 2, 3])
    assert _started(schedule, StepsAdded(growth)) == ["many[1]/list", "many[2]/list"]
    plan = grown(plan, [growth])
    # Between the steps of an instance nobody else gets in.
    assert _started(schedule, StepSucceeded("many[2]/list")) == ["many[2]/each[*]"]
    none = _growth(plan, [], "many[2]/each[*]")
    ends = ("each[*]", "each", "last")
    assert _started(schedule, StepsAdded(none), *(StepSucceeded(f"many[2]/{n}") for n in ends)) == [
        *("many[2]/each", "many[2]/last", "many[2]")
    ]
    assert _started(schedule, StepSucceeded("many[2]")) == ["many[3]/list"]


def test_a_failed_instance_ends_its_siblings_if_it_shall() -> None:
    plan = _plan(fail_fast=True, limit=2)
    schedule = _schedule(plan)
    _told(schedule, Begin(), StepSucceeded("list"))
    _told(schedule, StepsAdded(_growth(plan, [1, 2, 3])), StepSucceeded("many[*]"))
    [told] = _told(schedule, StepFailed("many[1]"))
    assert told == [
        str(CancelStep("many[2]")),
        str(SkipStep("many[3]", "stopped, because step 'many[1]' failed")),
    ]
    assert _started(schedule, StepKilled("many[2]")) == ["many"]
    assert schedule.state_of("other[n=3]") is StepState.WAITING  # others go on


@pytest.mark.parametrize("tolerated", [False, True])
def test_a_failed_instance_lets_its_siblings_be_otherwise(tolerated: bool) -> None:
    plan = _plan(fail_fast=tolerated, tolerated=tolerated)
    schedule = _schedule(plan)
    _told(schedule, Begin(), StepSucceeded("list"), StepsAdded(_growth(plan, [1, 2])))
    assert _told(schedule, StepSucceeded("many[*]"), StepFailed("many[1]")) == [[], []]


def test_a_cancellation_skips_what_still_comes() -> None:
    plan = _plan()
    schedule = _schedule(plan)
    _told(schedule, Begin(), StepSucceeded("list"), CancelRequested())
    (told, _) = _told(schedule, StepsAdded(_growth(plan, [1])), StepSucceeded("many[*]"))
    assert told == [str(SkipStep("many[1]", "cancelled"))]


ENDS: list[type[StepSucceeded] | type[StepFailed] | type[StepKilled]] = [
    *(StepSucceeded, StepSucceeded, StepSucceeded, StepFailed, StepKilled)
]


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    called=st.sampled_from(["train", "inner"]),
    limit=st.integers(1, 3),
    slots=st.integers(1, 4),
    fail_fast=st.booleans(),
    tolerated=st.booleans(),
    group=st.sampled_from(["other", "gpu"]),
)
def test_whatever_it_grows_by_no_group_is_too_full_and_the_run_ends(
    *,
    data: st.DataObject,
    called: str,
    limit: int,
    slots: int,
    fail_fast: bool,
    tolerated: bool,
    group: str,
) -> None:
    plan = _plan(called=called, limit=limit, fail_fast=fail_fast, tolerated=tolerated, group=group)
    schedule = _schedule(plan, slots)
    known = {step.id: step for step in plan.steps}
    inside: dict[str, set[str]] = {}
    running: list[str] = []
    started: set[str] = set()
    ended: set[str] = set()
    failed_groups: set[str] = set()
    actions = schedule.on(Begin())
    while True:
        for action in actions:
            match action:
                case StartStep(step_id):
                    step = known[step_id]
                    assert step_id not in started | ended
                    assert ended.issuperset(step.needs)
                    started.add(step_id)
                    running.append(step_id)
                    for each in memberships(step):
                        _enter(each, inside)
                        is_asked = step.gates[-1].looks_at_status
                        assert is_asked or each.group not in failed_groups
                case SkipStep(step_id):
                    assert step_id not in started | ended
                    ended.add(step_id)
                    _leave(known[step_id], inside)
                case CancelStep(step_id):
                    assert step_id in running
                case Finish():
                    assert ended == known.keys()
                    return
                case _:
                    raise AssertionError(action)
        assert running, "nothing goes on, and the run has not ended"
        step_id = running[data.draw(st.integers(0, len(running) - 1))]
        step = known[step_id]
        if isinstance(step.action, FanOut):
            xs = data.draw(st.lists(st.integers(0, 3), max_size=4))
            growth = grow(step, items_of(xs), known)
            known.update((each.id, each) for each in (*growth.steps, growth.end))
            assert isinstance(growth.end.action, FanIn)
            assert len(growth.end.action.instances) == len(xs)
            actions = schedule.on(StepsAdded(growth))
            assert not any(isinstance(action, Finish) for action in actions)
            actions += schedule.on(StepSucceeded(step_id))
        else:
            end = data.draw(st.sampled_from(ENDS))
            if end is not StepSucceeded and not step.continue_on_error:
                failed_groups |= {
                    each.group for each in step.members if each.fail_fast and each.member == step_id
                }
            actions = schedule.on(end(step_id))
        running.remove(step_id)
        ended.add(step_id)
        _leave(step, inside)


def _enter(membership: Membership, inside: dict[str, set[str]]) -> None:
    members = inside.setdefault(membership.group, set())
    members.add(membership.member)
    assert membership.limit is None or len(members) <= membership.limit


def _leave(step: PlannedStep, inside: dict[str, set[str]]) -> None:
    for each in memberships(step):
        if each.member == step.id:
            inside.get(each.group, set()).discard(step.id)


def test_a_thousand_items_are_one_growth() -> None:
    plan = _plan(limit=3)
    schedule = _schedule(plan)
    _told(schedule, Begin(), StepSucceeded("list"))
    growth = _growth(plan, [each % 10 for each in range(1000)])
    running = _started(schedule, StepsAdded(growth))
    schedule.on(StepSucceeded("many[*]"))
    count = 0
    while running:
        count += 1
        running += _started(schedule, StepSucceeded(running.pop(0)))
        assert len(running) <= 3
        if running == ["many"]:
            break
    assert count == 1000


def test_a_wrong_template_is_told_with_all_other_mistakes() -> None:
    with pytest.raises(FlowrunError) as caught:
        plan_of(
            """
            entry_points:
              main:
                steps:
                  list: {run: ls}
                  a: {foreach: "${{ steps.list.outputs.x }}", entry_point: b, with: {n: "${{ 1 + 'a' }}"}}
                  c: {entry_point: b, with: {n: "${{ 'x' + 'y' }}"}}
              b: {parameters: {n: int}, command: ls}
            """  # noqa: E501
        )
    assert len(str(caught.value).splitlines()) == 2
