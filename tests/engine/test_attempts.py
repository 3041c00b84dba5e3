"""Attempts are counted, also over the resumption of a run, and pauses end in their order."""

from __future__ import annotations

from flowrun.engine.attempts import Attempts
from flowrun.engine.events import Attempt, Before, StepEnded, StepStatus
from tests.plan.planning import plan_of

STEPS = """
entry_points:
  main:
    steps:
      a: {run: a, retries: 2, backoff: 20s}
      b: {run: b, retries: 1, backoff: 10s}
"""
A, B = plan_of(STEPS).steps


def _failed(step_id: str, run_id: str) -> StepEnded:
    return StepEnded(step_id, StepStatus.FAILED, run_id, 5, "why")


class _Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_pauses_end_in_the_order_of_their_times() -> None:
    clock = _Clock()
    attempts = Attempts({}, clock, lambda: 0.0)
    assert attempts.left_s() is None
    paused = attempts.pause(A, 1, _failed("a", "r1"))
    assert (paused.failed, paused.attempts, paused.wait_ms) == (
        Attempt(1, "r1", 5, "why"),
        3,
        20_000,
    )
    attempts.pause(B, 1, _failed("b", "r2"))
    assert attempts.left_s() == 10
    clock.now_s += 15
    assert attempts.left_s() == -5
    assert attempts.take() == "b"
    assert attempts.left_s() == 5
    assert attempts.take() == "a"
    assert attempts.left_s() is None


def test_a_step_ends_with_all_of_its_attempts() -> None:
    attempts = Attempts({}, _Clock(), lambda: 0.0)
    attempts.pause(A, 1, _failed("a", "r1"))
    ended = attempts.complete(StepEnded("a", StepStatus.SUCCEEDED, "r2", 7))
    assert ended.attempts == (Attempt(1, "r1", 5, "why"), Attempt(2, "r2", 7))
    assert attempts.complete(StepEnded("b", StepStatus.SUCCEEDED, "r3")).attempts == ()


def test_a_step_that_is_given_up_ended_as_its_last_attempt() -> None:
    attempts = Attempts({}, _Clock(), lambda: 0.0)
    attempts.pause(A, 1, _failed("a", "r1"))
    attempts.pause(A, 2, _failed("a", "r2"))
    ended = attempts.give_up("a")
    assert (ended.run_id, [each.run_id for each in ended.attempts]) == ("r2", ["r1", "r2"])


def test_a_resumed_run_counts_on() -> None:
    earlier = {"a": (Attempt(1, "r1", 5, "why"), Attempt(2, "r2", 5, "killed"))}
    attempts = Attempts(earlier, _Clock(), lambda: 0.0)
    assert (attempts.number("a", 1), attempts.number("b", 1)) == (3, 1)
    paused = attempts.pause(A, 1, _failed("a", "r3"))
    assert (paused.failed.number, paused.attempts) == (3, 5)
    ended = attempts.complete(StepEnded("a", StepStatus.SUCCEEDED, "r4"))
    assert [each.number for each in ended.attempts] == [1, 2, 3, 4]


def test_a_step_that_finished_before_keeps_the_attempts_that_it_had() -> None:
    earlier = {"a": (Attempt(1, "r1", 5, "why"), Attempt(2, "r2", 5))}
    attempts = Attempts(earlier, _Clock(), lambda: 0.0)
    ended = StepEnded("a", StepStatus.SUCCEEDED, "r2", before=Before(1, 6))
    assert attempts.complete(ended).attempts == earlier["a"]
