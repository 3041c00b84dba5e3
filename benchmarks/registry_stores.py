"""The registry that both servers' stores are filled with, as rows of their own tables."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.stores import FIRST_KEY, Rows

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


def flowrun_tables(models: int, versions: int) -> Iterator[Rows]:
    """Give the rows for a store that flowrun made."""
    rows = list(version_rows(models, versions))
    key = "registered_model_pk"
    yield Rows(
        "registered_models",
        (
            *(key, "name", "creation_time_ms", "last_update_time_ms"),
            *("description", "last_version"),
        ),
        (
            (FIRST_KEY + model, name_of(model), BEGAN_MS, BEGAN_MS + model, "", versions)
            for model in range(models)
        ),
    )
    yield Rows(
        "registered_model_tags",
        (key, "key", "value"),
        ((FIRST_KEY + model, "team", TEAMS[model % 4]) for model in range(models)),
    )
    yield Rows(
        "model_versions",
        (
            *(key, "version", "creation_time_ms", "last_update_time_ms", "description", "user_id"),
            *("stage", "status", "source", "download_uri", "run_id"),
        ),
        (
            (
                *(FIRST_KEY + r.model, r.version, r.time_ms, r.time_ms, "", "me"),
                *(r.stage, "READY", r.source, r.source, r.run_id),
            )
            for r in rows
        ),
    )
    yield Rows(
        "model_version_tags",
        (key, "version", "key", "value"),
        ((FIRST_KEY + r.model, r.version, *tag) for r in rows for tag in r.tags.items()),
    )
    yield Rows(
        "registered_model_aliases",
        (key, "alias", "version"),
        ((FIRST_KEY + model, "champion", versions - 1) for model in range(models)),
    )


def mlflow_tables(models: int, versions: int) -> Iterator[Rows]:
    """Give the same for a database that MLflow made."""
    rows = list(version_rows(models, versions))
    yield Rows(
        "registered_models",
        ("name", "creation_time", "last_updated_time", "description"),
        ((name_of(model), BEGAN_MS, BEGAN_MS + model, "") for model in range(models)),
    )
    yield Rows(
        "registered_model_tags",
        ("name", "key", "value"),
        ((name_of(model), "team", TEAMS[model % 4]) for model in range(models)),
    )
    yield Rows(
        "model_versions",
        (
            *("name", "version", "creation_time", "last_updated_time", "description", "user_id"),
            *("current_stage", "source", "run_id", "status", "storage_location"),
        ),
        (
            (
                *(r.name, r.version, r.time_ms, r.time_ms, "", "me"),
                *(r.stage, r.source, r.run_id, "READY", r.source),
            )
            for r in rows
        ),
    )
    yield Rows(
        "model_version_tags",
        ("name", "version", "key", "value"),
        ((r.name, r.version, *tag) for r in rows for tag in r.tags.items()),
    )
    yield Rows(
        "registered_model_aliases",
        ("name", "alias", "version"),
        ((name_of(model), "champion", versions - 1) for model in range(models)),
    )
