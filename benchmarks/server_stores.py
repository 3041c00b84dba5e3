"""The runs that both servers' stores are filled with, as rows of their own tables.

Logging 100,000 runs through MLflow's API would take an hour.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.stores import FIRST_KEY, Rows

RUNS = 100_000
POINTS = 1_000_000


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run of the fill."""

    number: int
    run_id: str
    start_time_ms: int
    metrics: dict[str, float]
    params: dict[str, str]
    tags: dict[str, str]


def run_id_of(number: int) -> str:
    """Give a run's id."""
    return f"{number:032x}"


def run_rows(runs: int) -> Iterator[RunRow]:
    """Give the runs: the same ones at each call."""
    source = random.Random(7)  # noqa: S311 - the same at each call is what is wanted
    for number in range(1, runs + 1):
        yield RunRow(
            number,
            run_id_of(number),
            1_700_000_000_000 + number,
            {"loss": source.random(), "accuracy": source.random()},
            {"lr": str(source.choice([0.1, 0.01, 0.001])), "depth": str(source.randint(1, 9))},
            {"mlflow.runName": f"run-{number}", "team": source.choice(["red", "blue"])},
        )


def flowrun_tables(runs: int, points: int) -> Iterator[Rows]:
    """Give the rows for a store that flowrun made; the last run's loss has that many points."""
    rows = list(run_rows(runs))
    yield Rows(
        "runs",
        (
            *("run_pk", "run_id", "experiment_id", "run_name", "user_id", "status"),
            *("start_time_ms", "end_time_ms", "artifact_uri", "lifecycle_stage"),
        ),
        (
            (
                *(FIRST_KEY + row.number, row.run_id, 0, row.tags["mlflow.runName"], "me"),
                *("FINISHED", row.start_time_ms, None, "mlflow-artifacts:/0", "active"),
            )
            for row in rows
        ),
    )
    for table, pairs in _pairs(rows).items():
        yield Rows(
            table,
            ("run_pk", "key", "value"),
            ((FIRST_KEY + row.number, key, value) for row, key, value in pairs()),
        )
    columns = ("run_pk", "key", "timestamp_ms", "step", "value", "is_nan")
    for table in ("metrics", "latest_metrics"):
        yield Rows(
            table,
            columns,
            (
                (FIRST_KEY + row.number, key, 1, 0, value, 0)
                for row in rows
                for key, value in row.metrics.items()
            ),
        )
    more = ((FIRST_KEY + runs, "loss", step + 1, step, 0.5, 0) for step in range(1, points))
    yield Rows("metrics", columns, more)


def mlflow_tables(runs: int, points: int) -> Iterator[Rows]:
    """Give the same for a database that MLflow made."""
    rows = list(run_rows(runs))
    yield Rows(
        "runs",
        (
            *("run_uuid", "name", "source_type", "source_name", "entry_point_name", "user_id"),
            *("status", "start_time", "end_time", "source_version", "lifecycle_stage"),
            *("artifact_uri", "experiment_id"),
        ),
        (
            (
                *(row.run_id, row.tags["mlflow.runName"], "UNKNOWN", "", "", "me"),
                *("FINISHED", row.start_time_ms, None, "", "active", "mlflow-artifacts:/0", 0),
            )
            for row in rows
        ),
    )
    for table, pairs in _pairs(rows).items():
        yield Rows(
            table,
            ("key", "value", "run_uuid"),
            ((key, value, row.run_id) for row, key, value in pairs()),
        )
    # A bool is a 0 or 1 in SQLite, and PostgreSQL takes no number for one.
    columns = ("key", "value", "timestamp", "run_uuid", "step", "is_nan")
    for table in ("metrics", "latest_metrics"):
        yield Rows(
            table,
            columns,
            (
                (key, value, 1, row.run_id, 0, False)
                for row in rows
                for key, value in row.metrics.items()
            ),
        )
    last = run_id_of(runs)
    more = (("loss", 0.5, step + 1, last, step, False) for step in range(1, points))
    yield Rows("metrics", columns, more)


def _pairs(rows: list[RunRow]) -> dict[str, Callable[[], Iterator[tuple[RunRow, str, str]]]]:
    """Give what walks through all params, and through all tags, by table."""
    return {
        "params": lambda: ((row, *pair) for row in rows for pair in row.params.items()),
        "tags": lambda: ((row, *pair) for row in rows for pair in row.tags.items()),
    }
