"""The loop: whatever happens, every run ends, every thread ends and nothing is left."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flowrun.engine.events import (
    CancelBegan,
    Event,
    RunBegan,
    RunEnded,
    StepBegan,
    StepEnded,
    StepPrinted,
)
from flowrun.engine.run import PlanRun
from flowrun.executors.base import Job, JobEnded, OnLine
from flowrun.executors.local import LocalExecutor
from flowrun.proof.states import step_states
from flowrun.stores import now_ms
from flowrun.tracking.entities import RunStatus
from tests.engine.running import Engine, Heard, engine

SLEEPERS = """\
entry_points:
  main:
    steps:
      a: {run: "echo a; sleep 15"}
      b: {run: "echo b; sleep 15"}
      after: {run: "echo never", needs: a}
"""


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Engine]:
    threads = set(threading.enumerate())
    with engine(tmp_path) as one:
        yield one
    assert set(threading.enumerate()) <= threads


class BrokenExecutor(LocalExecutor):
    """Has a bug that shows with the second job."""

    def __init__(self, on_line: OnLine) -> None:
        super().__init__(on_line)
        self._count = 0

    def start(self, job: Job, report: Callable[[JobEnded], None]) -> None:
        self._count += 1
        if self._count == 2:
            raise RuntimeError("a bug")
        super().start(job, report)


def test_a_bug_ends_all_steps_and_closes_all_runs(made: Engine) -> None:
    run = made.plan_run(SLEEPERS, Heard(), make_executor=BrokenExecutor)
    with pytest.raises(RuntimeError, match="a bug"):
        run.carry_out()
    assert set(made.statuses().values()) <= {"KILLED", "FAILED"}
    assert made.is_clean()


def test_a_run_cancelled_before_it_begins_starts_nothing(made: Engine) -> None:
    heard = Heard()
    run = made.plan_run(SLEEPERS, heard)
    run.cancel()
    assert run.carry_out().status is RunStatus.KILLED
    assert not [event for event in heard.events if isinstance(event, StepPrinted)]
    assert set(made.statuses().values()) == {"KILLED"}
    assert made.is_clean()


MOMENTS: dict[str, Callable[[Event], bool]] = {
    "the run begins": lambda event: isinstance(event, RunBegan),
    "a step begins": lambda event: isinstance(event, StepBegan),
    "a step prints": lambda event: isinstance(event, StepPrinted),
    "it is being cancelled": lambda event: isinstance(event, StepPrinted | CancelBegan),
}


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS.keys())
@pytest.mark.parametrize("times", [1, 2])
def test_a_cancellation_at_any_moment_ends_everything(
    made: Engine, moment: Callable[[Event], bool], times: int
) -> None:
    runs: list[PlanRun] = []

    def react(event: Event) -> None:
        if moment(event):
            for _ in range(times):
                runs[0].cancel(15)

    heard = Heard(react)
    runs.append(made.plan_run(SLEEPERS, heard))
    outcome = runs[0].carry_out()
    assert (outcome.status, outcome.cancelled_by) == (RunStatus.KILLED, 15)
    assert set(made.statuses().values()) == {"KILLED"}
    assert isinstance(heard.events[-1], RunEnded)
    assert made.is_clean()


def test_each_step_tells_its_story_in_order(made: Engine) -> None:
    steps = "".join(f'      s{n}: {{run: "echo {n}; echo {n}"}}\n' for n in range(12))
    heard = Heard()
    made.plan_run(f"entry_points:\n  main:\n    steps:\n{steps}", heard, jobs=4).carry_out()
    for n in range(12):
        mine = [event for event in heard.events if getattr(event, "step_id", "") == f"s{n}"]
        assert [type(event) for event in mine] == [StepBegan, StepPrinted, StepPrinted, StepEnded]


def test_two_jobs_at_a_time_are_two_and_no_more(made: Engine) -> None:
    steps = "".join(f'      s{n}: {{run: "echo {n}; sleep 0.05"}}\n' for n in range(6))
    running: set[str] = set()
    most: list[int] = []

    def react(event: Event) -> None:
        match event:
            case StepBegan(step_id):
                running.add(step_id)
                most.append(len(running))
            case StepEnded(step_id):
                running.discard(step_id)
            case _:
                pass

    made.plan_run(f"entry_points:\n  main:\n    steps:\n{steps}", Heard(react)).carry_out()
    assert max(most) == 2


def test_a_clock_that_is_set_back_makes_no_time_negative(made: Engine) -> None:
    hours_ms = (3_600_000 * (1_000 - calls) for calls in itertools.count())
    heard = Heard()
    steps = "entry_points: {main: {steps: {a: {run: 'echo 1'}, b: {run: 'echo 2', needs: a}}}}"
    outcome = made.plan_run(steps, heard, now=lambda: next(hours_ms)).carry_out()
    assert outcome.status is RunStatus.FINISHED
    assert outcome.duration_ms >= 0
    assert all(step.duration_ms >= 0 for step in outcome.steps.values())
    runs = made.stores.tracking.search_runs(["0"]).items
    assert len(runs) == 3
    for run in runs:
        assert run.info.end_time_ms is not None
        assert run.info.end_time_ms >= run.info.start_time_ms
    [pipeline] = [run for run in runs if run.info.run_id == outcome.run_id]
    states = step_states(made.stores, pipeline)
    assert [(state.id, state.word, state.row.duration_ms) for state in states] == [
        ("a", "succeeded", 0),
        ("b", "succeeded", 0),
    ]


def test_what_a_clock_in_the_future_recorded_is_reused_and_does_not_hide_the_rest(
    made: Engine,
) -> None:
    step = "entry_points: {main: {steps: {a: {run: 'echo 1'}}}}"
    ahead_ms = now_ms() + 10**10
    first = made.plan_run(step, Heard(), now=lambda: ahead_ms).carry_out()
    second = made.plan_run(step, Heard()).carry_out()
    assert second.steps["a"].reused_from == first.steps["a"].run_id
