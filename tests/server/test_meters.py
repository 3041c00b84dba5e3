from __future__ import annotations

import re

from flowrun.server.messages import Permission, Response, Route
from flowrun.server.meters import Meters

ROUTE = Route("GET", "/a", Permission.READ, lambda _: Response(200, [], b""))
LABEL = 'method="GET",route="/a"'


def lines(meters: Meters, name: str) -> list[str]:
    return [line for line in meters.text().splitlines() if line.startswith(name)]


def test_requests_are_counted_by_route_and_status() -> None:
    meters = Meters([ROUTE])
    for status in (200, 200, 404, 418):
        meters.enter()
        meters.leave(ROUTE, status, 0.1)
    meters.enter()
    meters.leave(None, 404, 0.1)
    assert lines(meters, "flowrun_requests_total") == [
        f'flowrun_requests_total{{{LABEL},status="200"}} 2',
        f'flowrun_requests_total{{{LABEL},status="404"}} 1',
        f'flowrun_requests_total{{{LABEL},status="other"}} 1',
        'flowrun_requests_total{method="*",route="(none)",status="404"} 1',
    ]


def test_durations_fall_into_buckets_that_include_the_smaller_ones() -> None:
    meters = Meters([ROUTE])
    for seconds in (0.0004, 0.001, 0.03, 60.0):
        meters.enter()
        meters.leave(ROUTE, 200, seconds)
    found = {
        match[1]: int(match[2])
        for line in lines(meters, "flowrun_request_duration_seconds_bucket")
        if (match := re.search(r'le="([^"]+)"} (\d+)', line))
    }
    assert (found["0.0005"], found["0.001"], found["0.0025"]) == (1, 2, 2)
    assert (found["0.025"], found["0.05"], found["10.0"], found["+Inf"]) == (2, 3, 3, 4)
    assert lines(meters, "flowrun_request_duration_seconds_sum") == [
        f"flowrun_request_duration_seconds_sum{{{LABEL}}} 60.031400"
    ]


def test_workers_count_apart_and_are_told_together() -> None:
    meters = Meters([ROUTE], workers=2)
    for number in (0, 1, 1):
        worker = meters.of_worker(number)
        worker.enter()
        worker.leave(ROUTE, 507, 0.1)
    assert lines(meters.of_worker(0), "flowrun_store_errors_total") == [
        "flowrun_store_errors_total 3"
    ]


def test_what_a_dead_worker_had_in_flight_is_forgotten_and_its_counts_stay() -> None:
    meters = Meters([ROUTE])
    first = meters.of_worker(0)
    first.enter()
    first.leave(ROUTE, 200, 0.1)
    first.enter()
    assert lines(meters, "flowrun_requests_in_flight") == ["flowrun_requests_in_flight 1"]
    meters.of_worker(0)
    assert lines(meters, "flowrun_requests_in_flight") == ["flowrun_requests_in_flight 0"]
    assert lines(meters, "flowrun_requests_total")[0].endswith(" 1")
    assert lines(meters, "flowrun_worker_starts_total") == ["flowrun_worker_starts_total 2"]
