"""The schedule: what starts when, what is skipped, and that every run ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowrun.plan.plan import CommandAction, Gate, PlannedStep, Scope, SelectAction
from flowrun.plan.schedule import (
    Action,
    Begin,
    CancelRequested,
    CancelStep,
    Event,
    Finish,
    GiveUpStep,
    InvalidMoveError,
    PauseEnded,
    PauseStep,
    Schedule,
    SkipStep,
    StartStep,
    StepDeclined,
    StepFailed,
    StepKilled,
    StepsPrepared,
    StepState,
    StepSucceeded,
)
from flowrun.spec.project import Attempts, Resources
from tests.plan.planning import plan_of

SCOPE = Scope({}, {}, {})


def _step(
    step_id: str,
    needs: tuple[str, ...] = (),
    *,
    is_engine: bool = False,
    resources: Resources | None = None,
    looks_at_status: bool = False,
    tolerated: frozenset[str] = frozenset(),
    continue_on_error: bool = False,
    retries: int = 0,
) -> PlannedStep:
    gate = Gate(None, SCOPE, {}, needs, looks_at_status, tolerated=tolerated)
    action = SelectAction((), "m", "min") if is_engine else CommandAction("x", None, {})
    return PlannedStep(
        step_id,
        step_id,
        action,
        SCOPE,
        needs,
        None,
        gates=(gate,),
        resources=resources or Resources(),
        continue_on_error=continue_on_error,
        attempts=Attempts(retries),
    )


def _schedule(
    *steps: PlannedStep,
    slots: int = 9,
    cpus: float = 9,
    memory_bytes: int = 0,
    gpus: int = 0,
    fail_fast: bool = False,
    unprepared: frozenset[str] = frozenset(),
) -> Schedule:
    return Schedule(
        steps,
        slots=slots,
        cpus=cpus,
        memory_bytes=memory_bytes,
        gpus=gpus,
        fail_fast=fail_fast,
        unprepared=unprepared,
    )


def _told(schedule: Schedule, *events: Event) -> list[list[str]]:
    return [[_shown(action) for action in schedule.on(event)] for event in events]


def _shown(action: Action) -> str:
    match action:
        case StartStep(step_id, attempt):
            return f"start {step_id}" + (f" again ({attempt})" if attempt > 1 else "")
        case PauseStep(step_id, attempt):
            return f"pause {step_id} after {attempt}"
        case GiveUpStep(step_id):
            return f"give up {step_id}"
        case SkipStep(step_id, reason):
            return f"skip {step_id}: {reason}"
        case CancelStep(step_id):
            return f"cancel {step_id}"
        case Finish(status):
            return status


def test_a_step_starts_when_all_it_needs_has_succeeded() -> None:
    schedule = _schedule(_step("a"), _step("b"), _step("c", ("a", "b")))
    assert _told(schedule, Begin(), StepSucceeded("b"), StepSucceeded("a"), StepSucceeded("c")) == [
        ["start a", "start b"],
        [],
        ["start c"],
        ["FINISHED"],
    ]


def test_a_plan_without_steps_is_finished() -> None:
    assert _told(_schedule(), Begin()) == [["FINISHED"]]


def test_no_more_steps_run_than_there_are_slots() -> None:
    schedule = _schedule(_step("a"), _step("b"), _step("c"), slots=2)
    assert _told(schedule, Begin(), StepSucceeded("b")) == [["start a", "start b"], ["start c"]]


def test_a_step_that_does_not_fit_lets_a_smaller_one_go_before() -> None:
    schedule = _schedule(
        _step("a", resources=Resources(2)),
        _step("b", resources=Resources(2)),
        _step("c", resources=Resources(1)),
        cpus=3,
    )
    assert _told(schedule, Begin(), StepSucceeded("a")) == [["start a", "start c"], ["start b"]]


def test_a_step_that_asks_for_more_than_there_is_runs_alone() -> None:
    schedule = _schedule(
        _step("a", resources=Resources(64, 2**40)), _step("b"), cpus=2, memory_bytes=2**30
    )
    assert _told(schedule, Begin(), StepSucceeded("a")) == [["start a"], ["start b"]]


def test_memory_is_shared() -> None:
    half = Resources(1, 6)
    schedule = _schedule(_step("a", resources=half), _step("b", resources=half), memory_bytes=10)
    assert _told(schedule, Begin(), StepSucceeded("a")) == [["start a"], ["start b"]]


def test_what_the_engine_does_itself_takes_no_slot() -> None:
    schedule = _schedule(_step("a"), _step("b", is_engine=True), slots=1)
    assert _told(schedule, Begin()) == [["start a", "start b"]]


def test_a_step_that_is_not_prepared_lets_others_go_before() -> None:
    schedule = _schedule(_step("a"), _step("b"), slots=1, unprepared=frozenset("a"))
    assert _told(schedule, Begin(), StepSucceeded("b"), StepsPrepared(("a",))) == [
        ["start b"],
        [],
        ["start a"],
    ]


def test_a_step_that_is_prepared_early_still_waits_for_what_it_needs() -> None:
    schedule = _schedule(_step("a"), _step("b", ("a",)), unprepared=frozenset("b"))
    assert _told(schedule, Begin(), StepsPrepared(("b",)), StepSucceeded("a")) == [
        ["start a"],
        [],
        ["start b"],
    ]


def test_a_step_that_will_not_run_is_not_waited_for_to_be_prepared() -> None:
    schedule = _schedule(_step("a"), _step("b", ("a",)), unprepared=frozenset("b"))
    assert _told(schedule, Begin(), StepFailed("a"), StepsPrepared(("b",))) == [
        ["start a"],
        ["skip b: step 'a' failed", "FAILED"],
        [],
    ]


def test_fail_fast_skips_what_is_not_prepared_at_once() -> None:
    schedule = _schedule(_step("a"), _step("b"), fail_fast=True, unprepared=frozenset("b"))
    assert _told(schedule, Begin(), StepFailed("a")) == [
        ["start a"],
        ["skip b: stopped, because step 'a' failed", "FAILED"],
    ]


def test_a_cancellation_skips_what_is_not_prepared() -> None:
    schedule = _schedule(_step("a"), unprepared=frozenset("a"))
    assert _told(schedule, Begin(), CancelRequested(), StepsPrepared(("a",))) == [
        [],
        ["skip a: cancelled", "KILLED"],
        [],
    ]


def test_a_failed_step_skips_its_dependents_with_the_first_cause() -> None:
    schedule = _schedule(_step("a"), _step("b", ("a",)), _step("c", ("b",)), _step("d"))
    assert _told(schedule, Begin(), StepFailed("a"), StepSucceeded("d")) == [
        ["start a", "start d"],
        ["skip b: step 'a' failed", "skip c: step 'a' failed"],
        ["FAILED"],
    ]


def test_a_step_that_declines_skips_its_dependents_and_fails_nothing() -> None:
    schedule = _schedule(_step("a"), _step("b", ("a",)))
    assert _told(schedule, Begin(), StepDeclined("a", "its condition is not met")) == [
        ["start a"],
        ["skip b: step 'a' was skipped", "FINISHED"],
    ]


def test_a_tolerated_failure_lets_its_dependents_run() -> None:
    schedule = _schedule(
        _step("a", continue_on_error=True), _step("b", ("a",), tolerated=frozenset({"a"}))
    )
    assert _told(schedule, Begin(), StepFailed("a"), StepSucceeded("b")) == [
        ["start a"],
        ["start b"],
        ["FINISHED"],
    ]


def test_a_step_that_asks_for_the_status_is_started_after_a_failure() -> None:
    schedule = _schedule(_step("a"), _step("b", ("a",), looks_at_status=True))
    assert _told(schedule, Begin(), StepFailed("a"), StepSucceeded("b")) == [
        ["start a"],
        ["start b"],
        ["FAILED"],
    ]


def test_fail_fast_starts_nothing_more_but_what_asks_for_the_status() -> None:
    schedule = _schedule(
        _step("a"),
        _step("b"),
        _step("c"),
        _step("d", ("b",)),
        _step("e", ("a", "b", "c", "d"), looks_at_status=True),
        slots=2,
        fail_fast=True,
    )
    assert _told(schedule, Begin(), StepFailed("a"), StepSucceeded("b"), StepSucceeded("e")) == [
        ["start a", "start b"],
        ["skip c: stopped, because step 'a' failed"],
        ["skip d: stopped, because step 'a' failed", "start e"],
        ["FAILED"],
    ]


def test_a_cancellation_ends_what_runs_and_skips_the_rest() -> None:
    schedule = _schedule(_step("a"), _step("b", ("a",), looks_at_status=True), _step("c"), slots=1)
    assert _told(schedule, Begin(), CancelRequested(), CancelRequested(), StepKilled("a")) == [
        ["start a"],
        ["cancel a", "skip b: cancelled", "skip c: cancelled"],
        ["cancel a"],
        ["KILLED"],
    ]


def test_a_cancellation_that_comes_too_late_changes_nothing() -> None:
    schedule = _schedule(_step("a"))
    assert _told(schedule, Begin(), CancelRequested(), StepSucceeded("a")) == [
        ["start a"],
        ["cancel a"],
        ["FINISHED"],
    ]


def test_a_killed_step_fails_the_run() -> None:
    schedule = _schedule(_step("a"))
    assert _told(schedule, Begin(), StepKilled("a")) == [["start a"], ["FAILED"]]


EXIT_1 = frozenset({"1"})


def test_a_step_that_failed_waits_and_is_started_again_until_its_retries_are_used_up() -> None:
    schedule = _schedule(_step("a", retries=2), _step("b", ("a",)))
    told = _told(
        schedule,
        Begin(),
        StepFailed("a", EXIT_1),
        PauseEnded("a"),
        StepFailed("a", EXIT_1),
        PauseEnded("a"),
        StepFailed("a", EXIT_1),
    )
    assert told == [
        ["start a"],
        ["pause a after 1"],
        ["start a again (2)"],
        ["pause a after 2"],
        ["start a again (3)"],
        ["skip b: step 'a' failed", "FAILED"],
    ]


def test_a_step_that_succeeds_at_last_fails_nothing() -> None:
    schedule = _schedule(_step("a", retries=1), _step("b", ("a",)))
    told = _told(schedule, Begin(), StepFailed("a", EXIT_1), PauseEnded("a"), StepSucceeded("a"))
    assert told[-1] == ["start b"]
    assert _told(schedule, StepSucceeded("b")) == [["FINISHED"]]


def test_a_failure_without_a_cause_is_not_tried_again() -> None:
    assert _told(_schedule(_step("a", retries=2)), Begin(), StepFailed("a"))[-1] == ["FAILED"]


def test_a_pausing_step_takes_nothing_and_its_next_attempt_what_it_asks_for() -> None:
    hungry = Resources(1, 4, later=(Resources(1, 10),))
    schedule = _schedule(
        _step("a", retries=1, resources=hungry),
        _step("b", resources=Resources(1, 7)),
        memory_bytes=10,
    )
    told = _told(schedule, Begin(), StepFailed("a", EXIT_1), PauseEnded("a"), StepSucceeded("b"))
    assert told == [["start a"], ["pause a after 1", "start b"], [], ["start a again (2)"]]


def test_a_cancelled_run_starts_no_further_attempt() -> None:
    schedule = _schedule(_step("a", retries=1), _step("b", ("a",)))
    told = _told(schedule, Begin(), StepFailed("a", EXIT_1), CancelRequested(), PauseEnded("a"))
    assert told[1:] == [["pause a after 1"], ["give up a", "skip b: cancelled", "KILLED"], []]


def test_a_step_that_fails_while_the_run_is_cancelled_is_not_tried_again() -> None:
    schedule = _schedule(_step("a", retries=1))
    told = _told(schedule, Begin(), CancelRequested(), StepFailed("a", EXIT_1))
    assert told[1:] == [["cancel a"], ["KILLED"]]


def test_fail_fast_gives_up_what_pauses_but_not_what_asks_for_the_status() -> None:
    schedule = _schedule(
        _step("a", retries=1),
        _step("b", looks_at_status=True, retries=1),
        _step("c"),
        fail_fast=True,
    )
    told = _told(
        schedule,
        Begin(),
        StepFailed("a", EXIT_1),
        StepFailed("b", EXIT_1),
        StepFailed("c"),
        PauseEnded("b"),
        StepSucceeded("b"),
    )
    assert told[3:] == [["give up a"], ["start b again (2)"], ["FAILED"]]


def test_no_more_gpus_are_taken_than_there_are() -> None:
    wanted = Resources(gpus=1)
    schedule = _schedule(_step("a", resources=wanted), _step("b", resources=wanted), gpus=1)
    assert _told(schedule, Begin(), StepSucceeded("a")) == [["start a"], ["start b"]]


WRONG: dict[str, tuple[Sequence[Event], str]] = {
    "not started": ([StepSucceeded("b")], "step 'b' can't go this way: waiting -> succeeded"),
    "twice": (
        [StepSucceeded("a"), StepFailed("a")],
        "step 'a' can't go this way: waiting -> ready -> running -> succeeded -> failed",
    ),
    "unknown": ([StepFailed("z")], "the plan has no step 'z'"),
}


@pytest.mark.parametrize(("events", "message"), WRONG.values(), ids=WRONG.keys())
def test_an_event_that_can_not_be_is_a_bug_with_a_story(
    events: Sequence[Event], message: str
) -> None:
    schedule = _schedule(_step("a"), _step("b", ("a",)))
    schedule.on(Begin())
    with pytest.raises(InvalidMoveError) as caught:
        _told(schedule, *events)
    assert str(caught.value) == message


NESTED = """
entry_points:
  inner: {steps: {x: {run: x}, y: {run: y, needs: x}, z: {run: z, if: false}}}
  main:
    steps:
      a: {run: a}
      call: {entry_point: inner, needs: a, continue_on_error: TOLERANT}
      after: {run: b, needs: call}
"""


def test_a_step_that_fails_in_a_nested_pipeline_lets_its_end_tell() -> None:
    schedule = _schedule(*plan_of(NESTED.replace("TOLERANT", "false")).steps)
    told = _told(
        schedule,
        Begin(),
        StepSucceeded("a"),
        StepDeclined("call/z", "no"),
        StepFailed("call/x"),
        StepFailed("call"),
    )
    assert told == [
        ["start a"],
        ["start call/x", "start call/z"],
        [],
        ["skip call/y: step 'call/x' failed", "start call"],
        ["skip after: step 'call' failed", "FAILED"],
    ]


def test_a_tolerated_nested_pipeline_fails_nothing() -> None:
    schedule = _schedule(*plan_of(NESTED.replace("TOLERANT", "true")).steps)
    told = _told(
        schedule,
        Begin(),
        StepSucceeded("a"),
        StepSucceeded("call/z"),
        StepFailed("call/x"),
        StepFailed("call"),
        StepSucceeded("after"),
    )
    assert told[-2:] == [["start after"], ["FINISHED"]]


def test_a_nested_pipeline_whose_caller_is_skipped_is_skipped_whole() -> None:
    schedule = _schedule(*plan_of(NESTED.replace("TOLERANT", "false")).steps)
    (_, skipped) = _told(schedule, Begin(), StepFailed("a"))
    assert sorted(skipped) == [
        "FAILED",
        "skip after: step 'a' failed",
        "skip call/x: step 'a' failed",
        "skip call/y: step 'a' failed",
        "skip call/z: step 'a' failed",
        "skip call: step 'a' failed",
    ]


_resources = st.builds(Resources, st.sampled_from([0.1, 0.5, 1, 9]), st.integers(0, 9))


@st.composite
def _plans(draw: st.DrawFn) -> tuple[PlannedStep, ...]:
    count = draw(st.integers(0, 12))
    steps: list[PlannedStep] = []
    for number in range(count):
        ids = [step.id for step in steps]
        needs = draw(st.lists(st.sampled_from(ids), unique=True, max_size=4)) if ids else []
        tolerated = {step.id for step in steps if step.continue_on_error and step.id in needs}
        steps.append(
            _step(
                f"s{number}",
                tuple(needs),
                is_engine=draw(st.booleans()),
                resources=replace(
                    draw(_resources), later=tuple(draw(st.lists(_resources, max_size=2)))
                ),
                looks_at_status=draw(st.booleans()),
                tolerated=frozenset(tolerated),
                continue_on_error=draw(st.booleans()),
                retries=draw(st.integers(0, 2)),
            )
        )
    return tuple(steps)


ENDS: list[Callable[[str], Event]] = [
    StepSucceeded,
    StepSucceeded,
    StepFailed,
    lambda step_id: StepFailed(step_id, EXIT_1),
    StepKilled,
    lambda step_id: StepDeclined(step_id, "no"),
]


@given(
    steps=_plans(),
    data=st.data(),
    slots=st.integers(1, 3),
    cpus=st.sampled_from([0.3, 1, 2]),
    memory_bytes=st.integers(0, 9),
    fail_fast=st.booleans(),
)
def test_whatever_happens_the_rules_hold_and_the_run_ends(
    *,
    steps: tuple[PlannedStep, ...],
    data: st.DataObject,
    slots: int,
    cpus: float,
    memory_bytes: int,
    fail_fast: bool,
) -> None:
    by_id = {step.id: step for step in steps}
    schedule = _schedule(
        *steps, slots=slots, cpus=cpus, memory_bytes=memory_bytes, fail_fast=fail_fast
    )
    attempts: dict[str, int] = {}
    pausing: list[str] = []
    running: list[str] = []
    ended: set[str] = set()
    was_cancelled = False
    actions = schedule.on(Begin())
    for _ in range(9 * len(steps) + 9):
        for action in actions:
            match action:
                case StartStep(step_id, attempt):
                    assert not was_cancelled
                    assert step_id not in [*running, *ended, *pausing]
                    assert attempt == attempts.get(step_id, 0) + 1
                    assert attempt <= 1 + (by_id[step_id].attempts.retries or 0)
                    assert ended.issuperset(by_id[step_id].needs)
                    assert _may_start(by_id[step_id], schedule)
                    attempts[step_id] = attempt
                    running.append(step_id)
                case PauseStep(step_id, attempt):
                    assert attempt == attempts[step_id]
                    assert not was_cancelled
                    pausing.append(step_id)
                    ended.remove(step_id)
                case GiveUpStep(step_id):
                    assert step_id in attempts
                    assert step_id not in [*running, *ended]
                    ended.add(step_id)
                    pausing = [each for each in pausing if each != step_id]
                case SkipStep(step_id):
                    assert step_id not in [*attempts, *ended]
                    ended.add(step_id)
                case CancelStep(step_id):
                    assert step_id in running
                case Finish():
                    assert action is actions[-1]
                    assert ended == by_id.keys()
                    return
        _check_room(running, by_id, attempts, slots, cpus, memory_bytes)
        if data.draw(st.integers(0, 9)) == 0:
            was_cancelled = True
            actions = schedule.on(CancelRequested())
            continue
        assert running or pausing, "nothing goes on, and the run has not ended"
        if pausing and (not running or data.draw(st.booleans())):
            step_id = pausing.pop(data.draw(st.integers(0, len(pausing) - 1)))
            actions = schedule.on(PauseEnded(step_id))
            continue
        step_id = running.pop(data.draw(st.integers(0, len(running) - 1)))
        ended.add(step_id)
        end = data.draw(st.sampled_from(ENDS))
        actions = schedule.on(end(step_id))
    # Only cancellations can go on for ever.
    assert was_cancelled


def _may_start(step: PlannedStep, schedule: Schedule) -> bool:
    (gate,) = step.gates
    fine = {StepState.SUCCEEDED}
    return gate.looks_at_status or all(
        schedule.state_of(need) in (fine | {StepState.FAILED} if need in gate.tolerated else fine)
        for need in gate.needs
    )


def _check_room(
    running: list[str],
    by_id: dict[str, PlannedStep],
    attempts: dict[str, int],
    slots: int,
    cpus: float,
    memory_bytes: int,
) -> None:
    taken = [
        by_id[each].resources.at(attempts[each])
        for each in running
        if isinstance(by_id[each].action, CommandAction)
    ]
    assert len(taken) <= slots
    assert sum(min(each.cpus, cpus) for each in taken) <= cpus + 1e-6
    assert sum(min(each.memory_bytes, memory_bytes) for each in taken) <= memory_bytes


def test_counts_what_stands_how() -> None:
    schedule = _schedule(_step("a"), _step("b"), _step("c", ("a",)), slots=1)
    schedule.on(Begin())
    assert schedule.state_of("a") is StepState.RUNNING
    assert [schedule.count_of(state) for state in StepState] == [1, 1, 1, 0, 0, 0, 0, 0]
