"""Rows of the registry to entities; used by models and versions alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from flowrun.errors import NotFoundError
from flowrun.registry.entities import ModelVersion, Stage, VersionStatus
from flowrun.tracking import checks
from flowrun.tracking.sql.database import Connection, Rows
from flowrun.tracking.sql.part import chunks, marks


class StoredModel(NamedTuple):
    """A row of registered_models."""

    pk: int
    name: str
    creation_time_ms: int
    last_update_time_ms: int
    description: str


class StoredVersion(NamedTuple):
    """A row of model_versions, with the model's name."""

    pk: int
    version: int
    name: str
    creation_time_ms: int
    last_update_time_ms: int
    description: str
    user_id: str | None
    stage: str
    status: str
    source: str
    download_uri: str
    run_id: str | None
    run_link: str | None
    model_id: str | None


_STAGES = {stage.value: stage for stage in Stage}
_STATUSES = {status.value: status for status in VersionStatus}
"""To look one up takes a fifth of the time that the class takes to find it."""

MODEL_COLUMNS = "registered_model_pk, name, creation_time_ms, last_update_time_ms, description"
_VERSION_COLUMNS = (
    "registered_model_pk, version, name, model_versions.creation_time_ms,"
    " model_versions.last_update_time_ms, model_versions.description, user_id, stage, status,"
    " source, download_uri, run_id, run_link, model_id"
)
_SELECT_MODEL = f"SELECT {MODEL_COLUMNS} FROM registered_models WHERE name = :name"
_SELECT_VERSIONS = f"""
    SELECT {_VERSION_COLUMNS}
    FROM model_versions JOIN registered_models USING (registered_model_pk)
"""
_SELECT_VERSION = f"{_SELECT_VERSIONS} WHERE name = :name AND version = :version"


def find_model(connection: Connection, name: str) -> StoredModel:
    """Give a registered model's row; NotFoundError if there is none."""
    checks.check_registered_model_name(name)
    row = connection.execute(_SELECT_MODEL, {"name": name}).fetchone()
    if row is None:
        raise NotFoundError(f"Registered Model with name={name} not found")
    return StoredModel._make(row)


def find_version(connection: Connection, name: str, version: str) -> StoredVersion:
    """Give a version's row; NotFoundError if there is none."""
    checks.check_registered_model_name(name)
    number = checks.parse_version(version)
    row = connection.execute(_SELECT_VERSION, {"name": name, "version": number}).fetchone()
    if row is None:
        raise NotFoundError(f"Model Version (name={name}, version={number}) not found")
    return StoredVersion._make(row)


def read_version(connection: Connection, name: str, version: str) -> ModelVersion:
    """Give one version."""
    return to_versions(connection, [find_version(connection, name, version)])[0]


def latest_versions(connection: Connection, pks: Sequence[object]) -> list[ModelVersion]:
    """Give the newest version of each stage of some models."""
    rows = connection.execute(
        f"{_SELECT_VERSIONS} JOIN ("
        "  SELECT registered_model_pk AS pk, MAX(version) AS newest FROM model_versions"
        f" WHERE registered_model_pk IN ({marks(pks)}) GROUP BY registered_model_pk, stage"
        ") latest ON pk = registered_model_pk AND newest = version ORDER BY version",
        pks,
    ).fetchall()
    return to_versions(connection, [StoredVersion._make(row) for row in rows])


def read_rows(connection: Connection, keys: Sequence[tuple[object, ...]]) -> Rows:
    """Give the rows of versions by (registered_model_pk, version), in any order."""
    return connection.execute(select_by_key(len(keys)), [each for key in keys for each in key])


def select_by_key(count: int) -> str:
    """Give the statement that reads so many versions."""
    # CROSS JOIN tells SQLite where to begin: it would read all versions and look for each here.
    return (
        f"{_wanted(count)} SELECT {_VERSION_COLUMNS} FROM wanted CROSS JOIN model_versions"
        " JOIN registered_models USING (registered_model_pk)"
        " WHERE registered_model_pk = wanted.pk AND version = wanted.number"
    )


def to_versions(connection: Connection, stored: Sequence[StoredVersion]) -> list[ModelVersion]:
    """Give versions with their tags and aliases, in the same order."""
    if not stored:
        return []
    tags: defaultdict[tuple[int, int], dict[str, str]] = defaultdict(dict)
    for part in chunks(stored):
        for pk, number, key, value in connection.execute(
            f"{_wanted(len(part))} SELECT registered_model_pk, version, key, value FROM wanted"
            " CROSS JOIN model_version_tags"
            " WHERE registered_model_pk = wanted.pk AND version = wanted.number",
            [each for version in part for each in version[:2]],
        ):
            tags[pk, number][key] = value
    pks = sorted({version.pk for version in stored})
    aliases = read_aliases(connection, pks)
    return [
        _version(each, tags.get((each.pk, each.version), {}), aliases.get(each.pk, {}))
        for each in stored
    ]


def read_aliases(connection: Connection, pks: Sequence[object]) -> dict[int, dict[str, int]]:
    """Give each model's aliases with the versions they point to."""
    aliases: defaultdict[int, dict[str, int]] = defaultdict(dict)
    for pk, alias, version in connection.execute(
        "SELECT registered_model_pk, alias, version FROM registered_model_aliases"
        f" WHERE registered_model_pk IN ({marks(pks)}) ORDER BY alias",
        pks,
    ):
        aliases[pk][alias] = version
    return aliases


def _wanted(count: int) -> str:
    return f"WITH wanted (pk, number) AS (VALUES {', '.join(['(?, ?)'] * count)})"


def _version(stored: StoredVersion, tags: dict[str, str], aliases: dict[str, int]) -> ModelVersion:
    return ModelVersion(
        name=stored.name,
        version=str(stored.version),
        creation_time_ms=stored.creation_time_ms,
        last_update_time_ms=stored.last_update_time_ms,
        description=stored.description,
        user_id=stored.user_id,
        stage=_STAGES[stored.stage],
        status=_STATUSES[stored.status],
        source=stored.source,
        download_uri=stored.download_uri,
        run_id=stored.run_id,
        run_link=stored.run_link,
        model_id=stored.model_id,
        tags=tags,
        aliases=tuple(alias for alias, version in aliases.items() if version == stored.version),
    )
