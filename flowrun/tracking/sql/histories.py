"""Histories of metrics, in SQL: all points in pages, or some of them for a chart."""

from __future__ import annotations

import math
from collections.abc import Sequence

from flowrun.tracking import checks, limits
from flowrun.tracking.entities import Metric, Page
from flowrun.tracking.paging import Place, place_of, token_after
from flowrun.tracking.sql.part import SqlPart
from flowrun.tracking.sql.runs import find_run

_POINTS = """
    SELECT timestamp_ms, step, value, is_nan FROM metrics
    WHERE run_pk = :run_pk AND key = :key
"""
# The primary key's own order, so a page is read from its index at once.
_ALL = f"{_POINTS} ORDER BY timestamp_ms, step, value, is_nan LIMIT :limit"
_AFTER = f"""
    {_POINTS} AND (timestamp_ms, step, value, is_nan) > (:after_ms, :after_step, :after, :after_nan)
    ORDER BY timestamp_ms, step, value, is_nan LIMIT :limit
"""
# Of `total` points the one at `at` is taken if some `i * (total - 1) / (most - 1)` is rounded down
# to it, i from 0 to most - 1: even distances, with the first and the last.
_EVENLY = """
    SELECT timestamp_ms, step, value, is_nan FROM (
        SELECT timestamp_ms, step, value, is_nan, COUNT(*) OVER () AS total,
            ROW_NUMBER() OVER (ORDER BY step, timestamp_ms, value, is_nan) - 1 AS at
        FROM metrics
        WHERE run_pk = :run_pk AND key = :key AND step BETWEEN :first_step AND :last_step
    ) AS counted
    WHERE total <= :most
        OR (:most = 1 AND at = total - 1)
        OR (:most > 1
            AND ((at * (:most - 1) + total - 2) / (total - 1)) * (total - 1)
                < (at + 1) * (:most - 1))
    ORDER BY step, timestamp_ms, value, is_nan
"""


class SqlHistories(SqlPart):
    """The histories of `SqlTrackingStore`; what each call promises is told in the protocol."""

    def get_metric_history(
        self,
        run_id: str,
        key: str,
        *,
        max_results: int = limits.MAX_METRIC_HISTORY_RESULTS,
        page_token: str | None = None,
    ) -> Page[Metric]:
        """Give all points of one metric by (timestamp, step, value)."""
        checks.check_max_results(max_results, limits.MAX_METRIC_HISTORY_RESULTS)
        place = place_of(page_token)
        with self._database.read() as connection:
            values: dict[str, object] = {
                "run_pk": find_run(connection, run_id).run_pk,
                "key": key,
                "limit": max_results + 1,
            }
            if place is not None:
                names = ("after_ms", "after_step", "after", "after_nan")
                values |= zip(names, place, strict=True)
            rows = connection.execute(_ALL if place is None else _AFTER, values).fetchall()
        points = _points(key, rows[:max_results])
        return Page(points, token_after(rows[max_results - 1]) if len(rows) > max_results else None)

    def sample_metric_history(
        self,
        run_id: str,
        key: str,
        *,
        most: int,
        steps: tuple[int, int] | None = None,
    ) -> Sequence[Metric]:
        """Give points of one metric at even distances by (step, timestamp, value)."""
        first_step, last_step = steps or (-limits.MAX_INTEGER, limits.MAX_INTEGER)
        with self._database.read() as connection:
            rows = connection.execute(
                _EVENLY,
                {
                    "run_pk": find_run(connection, run_id).run_pk,
                    "key": key,
                    "most": most,
                    "first_step": first_step,
                    "last_step": last_step,
                },
            ).fetchall()
        return _points(key, rows)


def _points(key: str, rows: Sequence[Place]) -> tuple[Metric, ...]:
    return tuple(
        Metric(key, math.nan if is_nan else value, timestamp_ms, step)
        for timestamp_ms, step, value, is_nan in rows
    )
