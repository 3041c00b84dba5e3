"""What Prometheus is told of the processes that predict, beside the requests themselves."""

from __future__ import annotations

from collections.abc import Iterator

from flowrun.serving.pool import Pool


def gauges(pool: Pool) -> str:
    """Give the lines."""
    return "".join(f"{line}\n" for line in _lines(pool))


def _lines(pool: Pool) -> Iterator[str]:
    counts = pool.counts
    for name, kind, text, value in (
        ("processes", "gauge", "Processes that can predict.", pool.alive),
        ("requests_waiting", "gauge", "Requests that wait for a process.", pool.waiting),
        ("calls_total", "counter", "Calls of a process, several requests at once.", counts.calls),
        ("requests_total", "counter", "Requests that a process was asked.", counts.requests),
        ("timeouts_total", "counter", "Requests that took too long.", counts.timeouts),
        ("restarts_total", "counter", "Processes that took a dead one's place.", counts.restarts),
    ):
        yield f"# HELP flowrun_model_{name} {text}"
        yield f"# TYPE flowrun_model_{name} {kind}"
        yield f"flowrun_model_{name} {value}"
