"""Fills the SQLite stores of both servers with the same runs, by bulk statements on their tables.

Logging 100,000 runs through MLflow's API would take an hour. Its database is not ANALYZEd, as one
that is filled through the API is not either.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

RUNS = 100_000
POINTS = 1_000_000
HISTORY_RUN = f"{RUNS:032x}"


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run of the fill."""

    number: int
    run_id: str
    start_time_ms: int
    metrics: dict[str, float]
    params: dict[str, str]
    tags: dict[str, str]


def run_rows(runs: int) -> Iterator[RunRow]:
    """Give the runs: the same ones at each call."""
    source = random.Random(7)  # noqa: S311 - the same at each call is what is wanted
    for number in range(1, runs + 1):
        yield RunRow(
            number,
            f"{number:032x}",
            1_700_000_000_000 + number,
            {"loss": source.random(), "accuracy": source.random()},
            {"lr": str(source.choice([0.1, 0.01, 0.001])), "depth": str(source.randint(1, 9))},
            {"mlflow.runName": f"run-{number}", "team": source.choice(["red", "blue"])},
        )


def fill_flowrun(database: Path, runs: int, points: int) -> None:
    """Fill a store that flowrun made."""
    with closing(sqlite3.connect(database)) as connection, connection:
        (first,) = connection.execute("SELECT COALESCE(MAX(run_pk), 0) FROM runs").fetchone()
        rows = list(run_rows(runs))
        connection.executemany(
            "INSERT INTO runs (run_pk, run_id, experiment_id, run_name, user_id, status,"
            " start_time_ms, end_time_ms, artifact_uri, lifecycle_stage)"
            " VALUES (?, ?, 0, ?, 'me', 'FINISHED', ?, NULL, 'mlflow-artifacts:/0', 'active')",
            (
                (first + row.number, row.run_id, row.tags["mlflow.runName"], row.start_time_ms)
                for row in rows
            ),
        )
        for table, values in (("params", "params"), ("tags", "tags")):
            connection.executemany(
                f"INSERT INTO {table} (run_pk, key, value) VALUES (?, ?, ?)",  # noqa: S608
                (
                    (first + row.number, key, value)
                    for row in rows
                    for key, value in getattr(row, values).items()
                ),
            )
        for table in ("metrics", "latest_metrics"):
            connection.executemany(
                f"INSERT INTO {table} (run_pk, key, timestamp_ms, step, value, is_nan)"  # noqa: S608
                " VALUES (?, ?, 1, 0, ?, 0)",
                (
                    (first + row.number, key, value)
                    for row in rows
                    for key, value in row.metrics.items()
                ),
            )
        connection.executemany(
            "INSERT INTO metrics (run_pk, key, timestamp_ms, step, value, is_nan)"
            " VALUES (?, 'loss', ?, ?, 0.5, 0)",
            ((first + runs, step + 1, step) for step in range(1, points)),
        )


def fill_mlflow(database: Path, runs: int, points: int) -> None:
    """Fill a database that MLflow made."""
    with closing(sqlite3.connect(database)) as connection, connection:
        rows = list(run_rows(runs))
        connection.executemany(
            "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id,"
            " status, start_time, end_time, source_version, lifecycle_stage, artifact_uri,"
            " experiment_id) VALUES (?, ?, 'UNKNOWN', '', '', 'me', 'FINISHED', ?, NULL, '',"
            " 'active', 'mlflow-artifacts:/0', 0)",
            ((row.run_id, row.tags["mlflow.runName"], row.start_time_ms) for row in rows),
        )
        for table, values in (("params", "params"), ("tags", "tags")):
            connection.executemany(
                f"INSERT INTO {table} (key, value, run_uuid) VALUES (?, ?, ?)",  # noqa: S608
                (
                    (key, value, row.run_id)
                    for row in rows
                    for key, value in getattr(row, values).items()
                ),
            )
        for table in ("metrics", "latest_metrics"):
            connection.executemany(
                f"INSERT INTO {table} (key, value, timestamp, run_uuid, step, is_nan)"  # noqa: S608
                " VALUES (?, ?, 1, ?, 0, 0)",
                ((key, value, row.run_id) for row in rows for key, value in row.metrics.items()),
            )
        connection.executemany(
            "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan)"
            " VALUES ('loss', 0.5, ?, ?, ?, 0)",
            ((step + 1, f"{runs:032x}", step) for step in range(1, points)),
        )
