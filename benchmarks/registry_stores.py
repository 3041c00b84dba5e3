"""Fills the SQLite stores of both servers with the same registry, by statements on their tables."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

BEGAN_MS = 1_700_000_000_000
TEAMS = ("red", "blue", "green", "grey")


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One version of the fill."""

    model: int
    version: int
    time_ms: int
    stage: str
    run_id: str
    tags: dict[str, str]

    @property
    def name(self) -> str:
        """Of its model."""
        return name_of(self.model)

    @property
    def source(self) -> str:
        """Where its files would be."""
        return f"mlflow-artifacts:/0/{self.run_id}/artifacts/model"


def name_of(model: int) -> str:
    """Give a model's name."""
    return f"team-{TEAMS[model % 4]}.model-{model:05d}"


def commit_of(number: int) -> str:
    """Give a commit's digits."""
    return f"{number:040x}"


def digest_of(number: int) -> str:
    """Give a sha256's digits."""
    return f"{number:064x}"


def version_rows(models: int, versions: int) -> Iterator[VersionRow]:
    """Give all versions: the same ones at each call, some 20 of a commit, 50 of some data."""
    source = random.Random(7)  # noqa: S311 - the same at each call is what is wanted
    number = 0
    for version in range(1, versions + 1):
        for model in range(models):
            number += 1
            stage = "Production" if version == versions - 1 else "None"
            stage = "Archived" if version < versions - 1 else stage
            data = digest_of(number % max(models * versions // 50, 1))
            yield VersionRow(
                model,
                version,
                BEGAN_MS + number * 1000 + source.randrange(1000),
                stage,
                f"{number:032x}",
                {
                    "flowrun.commit": commit_of(number // 20),
                    f"flowrun.data.{data}": data,
                    "team": TEAMS[model % 4],
                    "kind": source.choice(["tree", "linear", "net"]),
                },
            )


def fill_flowrun(database: Path, models: int, versions: int) -> None:
    """Fill a store that flowrun made."""
    rows = list(version_rows(models, versions))
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.executemany(
            "INSERT INTO registered_models (registered_model_pk, name, creation_time_ms,"
            " last_update_time_ms, description, last_version) VALUES (?, ?, ?, ?, '', ?)",
            (
                (model + 1, name_of(model), BEGAN_MS, BEGAN_MS + model, versions)
                for model in range(models)
            ),
        )
        connection.executemany(
            "INSERT INTO registered_model_tags (registered_model_pk, key, value)"
            " VALUES (?, 'team', ?)",
            ((model + 1, TEAMS[model % 4]) for model in range(models)),
        )
        connection.executemany(
            "INSERT INTO model_versions (registered_model_pk, version, creation_time_ms,"
            " last_update_time_ms, description, user_id, stage, status, source, download_uri,"
            " run_id, run_link, model_id)"
            " VALUES (?, ?, ?, ?, '', 'me', ?, 'READY', ?, ?, ?, NULL, NULL)",
            (
                (
                    r.model + 1,
                    r.version,
                    r.time_ms,
                    r.time_ms,
                    r.stage,
                    r.source,
                    r.source,
                    r.run_id,
                )
                for r in rows
            ),
        )
        connection.executemany(
            "INSERT INTO model_version_tags (registered_model_pk, version, key, value)"
            " VALUES (?, ?, ?, ?)",
            ((r.model + 1, r.version, key, value) for r in rows for key, value in r.tags.items()),
        )
        connection.executemany(
            "INSERT INTO registered_model_aliases (registered_model_pk, alias, version)"
            " VALUES (?, 'champion', ?)",
            ((model + 1, versions - 1) for model in range(models)),
        )


def fill_mlflow(database: Path, models: int, versions: int) -> None:
    """Fill a database that MLflow made."""
    rows = list(version_rows(models, versions))
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.executemany(
            "INSERT INTO registered_models (name, creation_time, last_updated_time, description)"
            " VALUES (?, ?, ?, '')",
            ((name_of(model), BEGAN_MS, BEGAN_MS + model) for model in range(models)),
        )
        connection.executemany(
            "INSERT INTO registered_model_tags (name, key, value) VALUES (?, 'team', ?)",
            ((name_of(model), TEAMS[model % 4]) for model in range(models)),
        )
        connection.executemany(
            "INSERT INTO model_versions (name, version, creation_time, last_updated_time,"
            " description, user_id, current_stage, source, run_id, status, storage_location)"
            " VALUES (?, ?, ?, ?, '', 'me', ?, ?, ?, 'READY', ?)",
            (
                (r.name, r.version, r.time_ms, r.time_ms, r.stage, r.source, r.run_id, r.source)
                for r in rows
            ),
        )
        connection.executemany(
            "INSERT INTO model_version_tags (name, version, key, value) VALUES (?, ?, ?, ?)",
            ((r.name, r.version, key, value) for r in rows for key, value in r.tags.items()),
        )
        connection.executemany(
            "INSERT INTO registered_model_aliases (name, alias, version) VALUES (?, 'champion', ?)",
            ((name_of(model), versions - 1) for model in range(models)),
        )
