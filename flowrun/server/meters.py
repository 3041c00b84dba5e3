"""Counts requests for Prometheus, in memory that all worker processes of a server share.

Each worker counts in rows of its own, on its event loop, so nothing is ever locked; whoever is
asked for `/metrics` adds all rows up. A worker that takes a dead one's place goes on with its rows:
no counter ever falls.

Source: Prometheus, "Exposition formats", text format 0.0.4.
"""

from __future__ import annotations

import mmap
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Protocol

from flowrun.version import __version__

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
CLIENT_GONE = 499
"""Stands for the status of a request whose caller went away before the answer, as in nginx."""

_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_REFUSED = (400, 401, 403, 404, 405, 410, 413, 415, 416, 422, CLIENT_GONE)
_STATUSES = (200, 204, 206, *_REFUSED, 500, 501, 503, 504, 507)
_OTHER = "other"
_STORE_FAILED = 507

_BYTES = 8
_HEAD = ("in_flight", "starts")
_STATUS_CELLS = len(_STATUSES) + 1
_TIME_CELLS = len(_BUCKETS_S) + 1
_ROW = _STATUS_CELLS + _TIME_CELLS + 1  # and the sum of the times


class Metered(Protocol):
    """What is counted by itself: a route."""

    @property
    def method(self) -> str:
        """Of the requests."""

    @property
    def path(self) -> str:
        """Of the requests; what stands in braces is any."""


class Meters:
    """The counters of one server; of which process they are told, `of_worker` says."""

    def __init__(self, routes: Iterable[Metered], workers: int = 1) -> None:
        """Set all to zero. Call it before the workers are forked, or they would not share it."""
        self._labels = [(route.method, route.path) for route in routes]
        self._labels.append(("*", "(none)"))
        self._rows = {label: number for number, label in enumerate(self._labels)}
        self._size = len(_HEAD) + len(self._labels) * _ROW
        self._workers = workers
        self._cells = memoryview(mmap.mmap(-1, self._size * workers * _BYTES)).cast("d")
        self._base = 0

    def of_worker(self, number: int) -> Meters:
        """Give the same counters, for the process that takes this worker's place to count in."""
        mine = object.__new__(Meters)
        for name in ("_labels", "_rows", "_size", "_workers", "_cells"):
            setattr(mine, name, getattr(self, name))
        mine._base = number * self._size
        mine._cells[mine._base] = 0  # what a dead worker had in flight, nobody answers
        mine._cells[mine._base + 1] += 1
        return mine

    def enter(self) -> None:
        """Count a request that begins."""
        self._cells[self._base] += 1

    def leave(self, route: Metered | None, status: int, seconds: float) -> None:
        """Count a request that ends; without a route, it was for nothing that is served."""
        cells = self._cells
        cells[self._base] -= 1
        row = self._rows[(route.method, route.path)] if route else len(self._labels) - 1
        start = self._base + len(_HEAD) + row * _ROW
        cells[start + (_STATUS_PLACES.get(status, len(_STATUSES)))] += 1
        times = start + _STATUS_CELLS
        cells[times + bisect_left(_BUCKETS_S, seconds)] += 1
        cells[times + _TIME_CELLS] += seconds

    def text(self) -> str:
        """Give all counters, summed over the workers, as Prometheus reads them."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        head = self._sums(0, len(_HEAD))
        rows = [
            (label, self._sums(len(_HEAD) + number * _ROW, _ROW))
            for number, label in enumerate(self._labels)
        ]
        seen = [(label, row) for label, row in rows if any(row[:_STATUS_CELLS])]
        failed = sum(row[_STATUS_PLACES[_STORE_FAILED]] for _, row in seen)
        yield from _family("flowrun_build_info", "gauge", "The version that serves.")
        yield f'flowrun_build_info{{version="{__version__}"}} 1'
        yield from _family("flowrun_workers", "gauge", "Processes that answer.")
        yield f"flowrun_workers {self._workers}"
        yield from _family("flowrun_worker_starts_total", "counter", "Workers started so far.")
        yield f"flowrun_worker_starts_total {head[1]:g}"
        yield from _family("flowrun_requests_in_flight", "gauge", "Requests being answered.")
        yield f"flowrun_requests_in_flight {head[0]:g}"
        yield from _family(
            "flowrun_store_errors_total", "counter", "Requests the database or storage failed."
        )
        yield f"flowrun_store_errors_total {failed:g}"
        yield from _family("flowrun_requests_total", "counter", "Requests by route and status.")
        for label, row in seen:
            for status, count in zip((*_STATUSES, _OTHER), row, strict=False):
                if count:
                    yield f'flowrun_requests_total{{{_named(label)},status="{status}"}} {count:.0f}'
        name = "flowrun_request_duration_seconds"
        yield from _family(name, "histogram", "From the request's head to the answer's end.")
        for label, row in seen:
            yield from _histogram(name, _named(label), row[_STATUS_CELLS:])

    def _sums(self, start: int, count: int) -> list[float]:
        parts = (
            self._cells[worker * self._size + start : worker * self._size + start + count].tolist()
            for worker in range(self._workers)
        )
        return [sum(column) for column in zip(*parts, strict=True)]


_STATUS_PLACES = {status: place for place, status in enumerate(_STATUSES)}


def _family(name: str, kind: str, text: str) -> tuple[str, str]:
    return f"# HELP {name} {text}", f"# TYPE {name} {kind}"


def _named(label: tuple[str, str]) -> str:
    # Both come from the route table: nothing in them needs to be escaped.
    return f'method="{label[0]}",route="{label[1]}"'


def _histogram(name: str, label: str, cells: Sequence[float]) -> Iterator[str]:
    *counts, total_s = cells
    sums = list(accumulate(counts))
    for bound, count in zip((*_BUCKETS_S, "+Inf"), sums, strict=True):
        yield f'{name}_bucket{{{label},le="{bound}"}} {count:.0f}'
    yield f"{name}_sum{{{label}}} {total_s:.6f}"
    yield f"{name}_count{{{label}}} {sums[-1]:.0f}"
