"""Which tracking URIs name a store."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from flowrun.errors import UsageError
from flowrun.tracking.uri import sqlite_path
from tests.support.stores import tracking_store


def test_sqlite_uri_names_a_file() -> None:
    assert sqlite_path("sqlite:////home/me/a b%20?.db") == Path("/home/me/a b%20?.db")


def test_store_opens_whatever_its_path_is_called(tmp_path: Path) -> None:
    path = tmp_path / "a b%20?#é.db"
    with tracking_store(path) as store:
        assert store.get_experiment("0").name == "Default"
    assert path.exists()


@pytest.mark.parametrize(
    "uri", ["", "/a/b.db", "sqlite:///a.db", "sqlite://", "file:///a", "s:/", "http://host:5000"]
)
def test_other_uris_name_none(uri: str) -> None:
    with pytest.raises(UsageError) as error:
        sqlite_path(uri)
    assert str(error.value) == (
        f"tracking URI '{uri}' names no store\n"
        "Give sqlite:/// and an absolute path: sqlite:////home/me/flowrun.db"
    )


def test_a_password_is_not_shown() -> None:
    with pytest.raises(UsageError) as error:
        sqlite_path("mysql://me:s3cret@host/db")
    assert error.value.message == "tracking URI 'mysql://me@host/db' names no store"


@pytest.mark.parametrize("missing", ["psycopg", "greenlet"])
def test_a_store_in_postgresql_says_what_to_install(missing: str) -> None:
    script = f"""
import sys
sys.modules["{missing}"] = None
from flowrun.errors import UnsupportedError
from flowrun.tracking.uri import postgres_module
try:
    postgres_module("flowrun.tracking.sql.postgres")
except UnsupportedError as error:
    print(error.hint)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "Install it with: pip install 'flowrun[postgres]'\n"
