"""Searches over many versions: by an index, and all the same what a naive search would give."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flowrun.registry.entities import ModelVersion, RegisteredModel
from flowrun.registry.sql.importing import SqlRegistryImport
from flowrun.registry.sql.reading import select_by_key
from flowrun.registry.sql.search import models_query, versions_query
from flowrun.registry.store import RegistryStore
from flowrun.tracking.sql.sqlite import SqliteDatabase, open_sqlite
from flowrun.tracking.uri import open_database
from tests.support.stores import registry_store, tracking_store

SHA = "0" * 64
COUNT = 2_500
PAGE = 300


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqliteDatabase]:
    database = open_sqlite(tmp_path / "flowrun.db")
    yield database
    database.close()


def _plan(database: SqliteDatabase, text: str, values: tuple[object, ...]) -> list[str]:
    with database.read() as connection:
        rows = connection.execute(f"EXPLAIN QUERY PLAN {text} LIMIT 100", values)
        return [detail for *_, detail in rows]


@pytest.mark.parametrize(
    ("filter_text", "step"),
    {
        "newest": ("", "SCAN model_versions USING COVERING INDEX model_versions_by_update"),
        "name": ("name = 'wine'", "SEARCH model_versions USING PRIMARY KEY"),
        "run": ("run_id = 'r'", "SEARCH model_versions USING INDEX model_versions_by_run"),
        "data": (
            f"tags.`flowrun.data.{SHA}` = '{SHA}'",
            "SEARCH model_version_tags USING COVERING INDEX model_version_tags_by_value",
        ),
        "short tag": (
            "tags.team = 'red'",
            "SEARCH model_version_tags USING COVERING INDEX model_version_tags_by_value",
        ),
    }.values(),
)
def test_search_for_versions_uses_an_index(
    database: SqliteDatabase, filter_text: str, step: str
) -> None:
    query = versions_query(filter_text, [])
    steps = _plan(database, query.text, query.values)
    assert any(each.startswith(step) for each in steps), steps


def test_search_for_models_by_time_walks_an_index(database: SqliteDatabase) -> None:
    query = models_query("", ["last_updated_timestamp DESC"])
    steps = _plan(database, query.text, query.values)
    assert steps[0] == "SCAN registered_models USING INDEX registered_models_by_update"


def test_a_page_is_read_by_its_keys(database: SqliteDatabase) -> None:
    steps = _plan(database, select_by_key(2), (1, 2, 3, 4))
    assert "SEARCH model_versions USING PRIMARY KEY (registered_model_pk=? AND version=?)" in steps
    assert not any("SCAN model_versions" in step for step in steps)


@pytest.fixture
def large(store_uri: str) -> Iterator[RegistryStore]:
    """A model with many versions; some of them changed at the same time."""
    with tracking_store(store_uri) as tracking, registry_store(store_uri, tracking) as store:
        database = open_database(store_uri)
        versions = [
            ModelVersion(
                "wine",
                str(number),
                1,
                1_000 + number // 3,
                "s3://b/x",
                "s3://b/x",
                tags={"team": "red" if number % 2 else "blue", "age": "old" if number < 9 else ""},
            )
            for number in range(1, COUNT + 1)
        ]
        SqlRegistryImport(database).add_model(RegisteredModel("wine", 1, 1), versions, COUNT)
        database.close()
        yield store


@pytest.mark.parametrize(
    ("filter_text", "numbers"),
    [
        ("", range(1, COUNT + 1)),
        ("tags.team = 'red'", range(1, COUNT + 1, 2)),
        ("tags.age = 'old'", range(1, 9)),
    ],
    ids=["all", "a common tag", "an old tag"],
)
def test_pages_of_the_newest_are_those_of_all(
    large: RegistryStore, filter_text: str, numbers: range
) -> None:
    found: list[ModelVersion] = []
    token: str | None = None
    while True:
        page = large.search_model_versions(
            filter_text=filter_text, max_results=PAGE, page_token=token
        )
        found += page.items
        token = page.next_page_token
        if token is None:
            break
    expected = sorted(numbers, key=lambda number: (-(number // 3), -number))
    assert [int(version.version) for version in found] == expected
