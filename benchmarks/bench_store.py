"""What the SQLite store costs: writes, reads, and searches over 10,000 and 100,000 runs.

    python benchmarks/bench_store.py [--runs 10000 100000] [--folder DIR]

Prints one line a figure; medians. The runs of a search have 3 metrics, 3 params and 5 tags each.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from flowrun.tracking.entities import Metric
from flowrun.tracking.store import TrackingStore
from flowrun.tracking.uri import open_tracking_store

SEARCHES: dict[str, tuple[str, list[str]]] = {
    "newest": ("", []),
    "metric order": ("", ["metrics.m0 DESC"]),
    "metric filter": ("metrics.m0 > 0.5", []),
    "metric filter + order": ("metrics.m0 > 0.5", ["metrics.m0 DESC"]),
    "metric filter + other order": ("metrics.m0 > 0.5", ["metrics.m1"]),
    "rare metric filter + order": ("metrics.m0 > 0.999", ["metrics.m0 DESC"]),
    "tag equals, one hit": ("tags.unique = '77'", []),
    "param filter + metric order": ("params.p0 = '3'", ["metrics.m0"]),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument("--folder", type=Path, default=None)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        bench_open(Path(folder))
        bench_writes(Path(folder))
        for count in arguments.runs:
            bench_search(Path(folder), count)


def open_store(path: Path) -> TrackingStore:
    return open_tracking_store(
        f"sqlite:///{path}",
        artifact_root="mlflow-artifacts:/",
        now=lambda: time.time_ns() // 1_000_000,
        new_id=lambda: os.urandom(16).hex(),
    )


def bench_open(folder: Path) -> None:
    started = time.perf_counter()
    open_store(folder / "open.db").close()
    report("make a store", time.perf_counter() - started, "s")
    opening = measure(lambda: open_store(folder / "open.db").close(), 50)
    report("open and close a store", opening, "s")
    script = "import flowrun.tracking.uri"
    report("import the store (above a bare Python)", start_s(script) - start_s("pass"), "s")


def bench_writes(folder: Path) -> None:
    store = open_store(folder / "writes.db")
    run_id = store.create_run("0").info.run_id
    tags = {f"tag{index}": "value" for index in range(5)}
    report("create_run, 5 tags", 1 / measure(lambda: store.create_run("0", tags=tags), 500), "/s")
    steps = iter(range(10**9))

    def log_metric() -> None:
        step = next(steps)
        store.log_batch(run_id, metrics=[Metric("loss", 0.5, step, step)])

    report("log one metric", 1 / measure(log_metric, 2000), "/s")

    def log_batch() -> None:
        first = next(steps) * 1000
        points = [Metric("batch", 0.5, step, step) for step in range(first, first + 1000)]
        store.log_batch(run_id, metrics=points)

    report("log_batch of 1000, one key", 1000 / measure(log_batch, 100), " rows/s")

    def log_keys() -> None:
        step = next(steps)
        points = [Metric(f"metric{index}", 0.5, step, step) for index in range(1000)]
        store.log_batch(run_id, metrics=points)

    report("log_batch of 1000, 1000 keys", 1000 / measure(log_keys, 30), " rows/s")
    model_run = store.create_run("0", tags=tags, params=tags).info.run_id
    store.log_batch(model_run, metrics=[Metric(f"m{index}", 0.5, 1) for index in range(10)])
    report("get_run, 5 params, 10 metrics", measure(lambda: store.get_run(model_run), 2000), "s")
    report(
        "history of 25,000 points",
        measure(lambda: store.get_metric_history(run_id, "batch"), 5),
        "s",
    )
    store.close()


def bench_search(folder: Path, count: int) -> None:
    store = open_store(folder / f"search{count}.db")
    numbers = random.Random(1)  # noqa: S311 - the same runs each time
    started = time.perf_counter()
    for index in range(count):
        run = store.create_run(
            "0",
            start_time_ms=index,
            params={f"p{each}": str(numbers.randrange(20)) for each in range(3)},
            tags={"unique": str(index), **{f"t{each}": "value" for each in range(3)}},
        )
        points = [Metric(f"m{each}", numbers.random(), index) for each in range(3)]
        store.log_batch(run.info.run_id, metrics=points)
    report(f"fill {count} runs", time.perf_counter() - started, "s")
    for name, (filter_text, order_by) in SEARCHES.items():

        def search(text: str = filter_text, order: list[str] = order_by) -> None:
            store.search_runs(["0"], filter_text=text, order_by=order, max_results=100)

        report(f"search {count}: {name}", measure(search, 7), "s")
    store.close()


def start_s(script: str) -> float:
    """Give how long a Python takes to run a script."""
    return measure(lambda: subprocess.run([sys.executable, "-c", script], check=True), 10)


def measure(call: Callable[[], object], times: int) -> float:
    """Give the median of how long a call takes, in seconds."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        call()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def report(what: str, value: float, unit: str) -> None:
    """Print a figure; seconds as ms or µs."""
    if unit == "s" and value < 1:
        text = f"{value * 1e3:.2f} ms" if value >= 1e-3 else f"{value * 1e6:.0f} µs"
    elif unit == "s":
        text = f"{value:.2f} s"
    else:
        text = f"{value:,.0f}{unit}"
    print(f"{what:48} {text:>16}")


if __name__ == "__main__":
    main()
