from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from flowrun.tracking.light_http import TrackingError
from flowrun.tracking.metric_queue import MetricQueue, Point


class Sent:
    """A server that writes down what it gets, and can be made to wait or to refuse."""

    def __init__(self) -> None:
        self.batches: list[tuple[str, list[Point]]] = []
        self.refused: dict[Point, str] = {}
        self.is_open = threading.Event()
        self.is_open.set()

    def __call__(self, run_id: str, points: Sequence[Point]) -> None:
        assert self.is_open.wait(10)
        for point in points:
            if point in self.refused:
                raise TrackingError(f"bad {point}", self.refused[point])
        self.batches.append((run_id, list(points)))

    def points(self) -> list[Point]:
        return [point for _, points in self.batches for point in points]


@pytest.fixture
def sent() -> Sent:
    return Sent()


def test_points_arrive_in_order_and_in_calls_of_one_run(sent: Sent) -> None:
    queue = MetricQueue(sent)
    for n in range(50):
        queue.put("a" if n % 10 < 7 else "b", str(n))
    queue.flush()
    assert sent.points() == [str(n) for n in range(50)]
    for run_id, points in sent.batches:
        for point in points:
            assert run_id == ("a" if int(point) % 10 < 7 else "b")


def test_points_gather_while_a_call_is_under_way(sent: Sent) -> None:
    sent.is_open.clear()
    queue = MetricQueue(sent)
    for n in range(2501):
        queue.put("a", str(n))
    sent.is_open.set()
    queue.flush()
    assert sent.points() == [str(n) for n in range(2501)]
    assert len(sent.batches) <= 4
    assert max(len(points) for _, points in sent.batches) <= 1000


def test_a_bad_point_does_not_take_good_ones_with_it(sent: Sent) -> None:
    sent.is_open.clear()
    sent.refused = {"3": "INVALID_PARAMETER_VALUE", "5": "INVALID_PARAMETER_VALUE"}
    queue = MetricQueue(sent)
    for n in range(8):
        queue.put("a", str(n))
    sent.is_open.set()
    with pytest.raises(TrackingError) as caught:
        queue.flush()
    assert str(caught.value) == "2 points of metrics could not be recorded: bad 3"
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"
    assert sent.points() == ["0", "1", "2", "4", "6", "7"]


def test_an_error_is_told_once_at_the_next_call(sent: Sent) -> None:
    sent.refused = {"x": ""}
    queue = MetricQueue(sent)
    queue.put("a", "x")
    with pytest.raises(TrackingError, match="1 point of metrics could not be recorded: bad x"):
        queue.flush()
    queue.put("a", "y")
    queue.flush()
    assert sent.points() == ["y"]
