"""Points of metrics, and the latest of each metric, in SQL."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TypeAlias

from flowrun.tracking import limits
from flowrun.tracking.entities import Metric
from flowrun.tracking.sql.database import Connection, Rows
from flowrun.tracking.sql.part import marks

# Statements for many rows bind by position: by name costs a third more for each row.
INSERT_METRIC = """
    INSERT INTO metrics (run_pk, key, timestamp_ms, step, value, is_nan)
    VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
SET_LATEST_METRIC = """
    INSERT INTO latest_metrics (run_pk, key, step, timestamp_ms, value, is_nan)
    VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (run_pk, key) DO UPDATE SET
        step = excluded.step, timestamp_ms = excluded.timestamp_ms,
        value = excluded.value, is_nan = excluded.is_nan
    WHERE (excluded.step, excluded.timestamp_ms, excluded.value)
        > (latest_metrics.step, latest_metrics.timestamp_ms, latest_metrics.value)
"""
_INSERT_NEW_METRIC = """
    INSERT INTO metrics (run_pk, key, timestamp_ms, step, value, is_nan)
    VALUES (?, ?, ?, ?, ?, ?)
"""
_FEW_KEYS = 20

_Place: TypeAlias = tuple[int, int, float]
"""A point's step, time and value: the latest is the greatest."""


def stored_value(value: float) -> tuple[float, int]:
    """Give the number to keep and whether it stands for a nan, as MLflow keeps them."""
    if math.isfinite(value):
        return value, 0
    if math.isnan(value):
        return 0.0, 1
    return math.copysign(limits.LARGEST_FLOAT, value), 0


def ask_latest(connection: Connection, run_id: str, keys: Collection[str]) -> Rows | None:
    """Ask for the latest points of metrics of a run; None if they are many, or there are none."""
    if not 0 < len(keys) <= _FEW_KEYS:
        return None
    return connection.execute(
        "SELECT key, step, timestamp_ms, value FROM latest_metrics WHERE run_pk ="
        f" (SELECT run_pk FROM runs WHERE run_id = ?) AND key IN ({marks(keys)})",
        (run_id, *keys),
    )


def read_latest(run_pk: int, rows: Rows | None) -> dict[tuple[int, str], _Place] | None:
    """Give what `ask_latest` asked for, by run and metric."""
    if rows is None:
        return None
    return {(run_pk, key): (step, timestamp_ms, value) for key, step, timestamp_ms, value in rows}


def add_points(
    connection: Connection,
    items: Iterable[tuple[int, Sequence[Metric]]],
    latest: Mapping[tuple[int, str], _Place] | None = None,
) -> None:
    """Append points to metrics of runs; one that is there already is left out.

    Args:
        connection: a transaction that keeps other writers of these runs out.
        items: keys of runs, each with its points.
        latest: the latest points of all these metrics, if they were read. What comes after them, in
            its order, can't be there: not to look takes PostgreSQL half the time.
    """
    rows = []
    places = dict(latest or {})
    changed: dict[tuple[int, str], int] = {}
    are_new = latest is not None
    for run_pk, metrics in items:
        for key, number, timestamp_ms, step, *_ in metrics:
            value, is_nan = stored_value(number)
            rows.append((run_pk, key, timestamp_ms, step, value, is_nan))
            place, which = (step, timestamp_ms, value), (run_pk, key)
            known = places.get(which)
            if known is None or place > known:
                places[which], changed[which] = place, is_nan
            else:
                are_new = False
    connection.executemany(_INSERT_NEW_METRIC if are_new else INSERT_METRIC, rows)
    connection.executemany(
        SET_LATEST_METRIC, [(*which, *places[which], is_nan) for which, is_nan in changed.items()]
    )
