"""`retries`, `backoff`, `retry_on`, `timeout` and resources by attempt: what can be written."""

from __future__ import annotations

from flowrun.plan.attempts import may_try_again, wait_s
from flowrun.spec.project import Attempts, Backoff, Resources
from tests.plan.planning import plan_of
from tests.spec.reading import read

ATTEMPTS = """
entry_points:
  train:
    command: train
    retries: 2
    backoff: 10s
    retry_on: [1, SIGKILL, out-of-memory, lost, timeout]
    timeout: 30m
    resources: {cpus: 2, memory: [2GiB, 4GiB, 8GiB], gpus: 1}
  main:
    steps:
      train: {retries: 5}
      probe: {run: ls, retries: 1, retry_on: 3, backoff: {first: 1m, growth: 3, limit: 1h}}
      plain: {run: ls}
"""


def test_attempts_are_what_the_file_says() -> None:
    train = read(ATTEMPTS).entry_points["train"]
    words = frozenset({"1", "SIGKILL", "out-of-memory", "lost", "timeout"})
    assert train.attempts == Attempts(2, Backoff(10.0), words, 1800.0)


def test_a_step_says_more_than_its_entry_point_key_by_key() -> None:
    train, probe, plain = plan_of(ATTEMPTS).steps
    assert train.attempts == Attempts(
        5, Backoff(10.0), frozenset({"1", "SIGKILL", "out-of-memory", "lost", "timeout"}), 1800.0
    )
    assert probe.attempts == Attempts(1, Backoff(60.0, 3.0, 3600.0), frozenset({"3"}))
    assert plain.attempts == Attempts()


def test_resources_of_a_list_are_those_of_one_attempt_after_the_other() -> None:
    resources = read(ATTEMPTS).entry_points["train"].resources or Resources()
    assert [resources.at(attempt).memory_bytes >> 30 for attempt in (1, 2, 3, 4)] == [2, 4, 8, 8]
    assert [resources.at(attempt).cpus for attempt in (1, 2, 3)] == [2, 2, 2]
    assert [resources.at(attempt).gpus for attempt in (1, 2, 3)] == [1, 1, 1]


def test_a_step_is_tried_again_for_what_it_names_only() -> None:
    train, probe, plain = plan_of(ATTEMPTS).steps
    assert may_try_again(train, 1, frozenset({"SIGKILL", "137"}))
    assert not may_try_again(train, 1, frozenset({"2"}))
    assert not may_try_again(train, 6, frozenset({"1"}))
    assert not may_try_again(train, 1, frozenset())
    assert may_try_again(probe, 1, frozenset({"3"}))
    assert not may_try_again(plain, 1, frozenset({"1"}))


def test_a_first_wait_over_the_usual_limit_is_meant() -> None:
    command = read("entry_points: {main: {command: ls, backoff: 1h}}").entry_points["main"]
    assert command.attempts.backoff == Backoff(3600.0, limit_s=3600.0)


def test_a_wait_grows_to_its_limit_and_is_never_shorter_than_said() -> None:
    _, probe, _ = plan_of(ATTEMPTS).steps
    assert [wait_s(probe, attempt, 0) for attempt in (1, 2, 3, 4, 5, 5000)] == [
        60,
        180,
        540,
        1620,
        3600,
        3600,
    ]
    assert 60 < wait_s(probe, 1, 1) < 70
