"""Searches that people and engines make all the time start from an index, not from all runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from flowrun.tracking.entities import ViewType
from flowrun.tracking.sql.postgres_text import translate
from flowrun.tracking.sql.search import runs_query
from flowrun.tracking.sql.sqlite import SqliteDatabase, open_sqlite
from flowrun.tracking.sql.trace_search import traces_query
from tests.support.postgres import PostgresServer


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqliteDatabase]:
    database = open_sqlite(tmp_path / "flowrun.db")
    yield database
    database.close()


@pytest.mark.parametrize(
    ("filter_text", "order_by", "first"),
    {
        "newest": ("", [], "SEARCH runs USING INDEX runs_by_start"),
        "metric": (
            "metrics.m > 0.9",
            ["metrics.m DESC"],
            "SEARCH j0 USING COVERING INDEX latest_metrics_by_value",
        ),
    }.values(),
)
def test_search_starts_from_its_index(
    database: SqliteDatabase, filter_text: str, order_by: list[str], first: str
) -> None:
    assert plan(database, filter_text, order_by)[0].startswith(first)


def test_id_in_a_tag_is_looked_up(database: SqliteDatabase) -> None:
    steps = plan(database, f"tags.`flowrun.fingerprint` = '{'0' * 64}'", [])
    assert steps[0].startswith("SEARCH runs USING INTEGER PRIMARY KEY")
    assert any("INDEX tags_by_value" in step for step in steps)


@pytest.mark.postgres
def test_best_runs_are_read_from_the_index_alone_on_postgresql(postgres: PostgresServer) -> None:
    query = runs_query([0], ViewType.ACTIVE_ONLY, "metrics.m > 0.9", ["metrics.other DESC"])
    text = translate(query.among_best[0].text).text
    with psycopg.connect(postgres.new_store(), cursor_factory=psycopg.RawCursor) as connection:
        # Of an empty table it would rather look at every row.
        connection.execute("SET enable_seqscan = off")
        connection.execute("SET enable_bitmapscan = off")
        rows = connection.execute(b"EXPLAIN " + text, query.among_best[0].values).fetchall()
    steps = "\n".join(step for (step,) in rows)
    # Once for the best runs, once for the value that the last of them has.
    assert steps.count("Index Only Scan Backward using latest_metrics_by_value") == 2, steps


def plan(database: SqliteDatabase, filter_text: str, order_by: list[str]) -> list[str]:
    query = runs_query([0], ViewType.ACTIVE_ONLY, filter_text, order_by)
    with database.read() as connection:
        rows = connection.execute(f"EXPLAIN QUERY PLAN {query.text} LIMIT 100", query.values)
        return [detail for *_, detail in rows]


@pytest.mark.parametrize(
    ("filter_text", "first"),
    {
        "newest": ("", "SEARCH traces USING INDEX traces_by_time"),
        "state": ("status = 'ERROR'", "SEARCH traces USING INDEX traces_by_status"),
        "session": (
            f"metadata.`mlflow.trace.session` = '{'0' * 32}'",
            "SEARCH traces USING INTEGER PRIMARY KEY",
        ),
        "run": (f"run_id = '{'0' * 32}'", "SEARCH traces USING INTEGER PRIMARY KEY"),
    }.values(),
)
def test_search_for_traces_starts_from_its_index(
    database: SqliteDatabase, filter_text: str, first: str
) -> None:
    query = traces_query([0], filter_text, [])
    with database.read() as connection:
        rows = connection.execute(f"EXPLAIN QUERY PLAN {query.text} LIMIT 100", query.values)
        steps = [detail for *_, detail in rows]
    assert steps[0].startswith(first), steps


@pytest.mark.parametrize(
    ("filter_text", "index"),
    [
        ("tags.color = 'red'", "COVERING INDEX trace_tags_by_value"),
        ("span.type = 'LLM'", "COVERING INDEX spans_by_type"),
        ("feedback.good IS NOT NULL", "INDEX assessments_by_name"),
        ("prompt = 'p/1'", "INDEX trace_prompts_by_name"),
    ],
)
def test_what_belongs_to_traces_is_looked_up(
    database: SqliteDatabase, filter_text: str, index: str
) -> None:
    query = traces_query([0], filter_text, [])
    with database.read() as connection:
        rows = connection.execute(f"EXPLAIN QUERY PLAN {query.text} LIMIT 100", query.values)
        assert any(index in detail for *_, detail in rows)
