"""Writes registered models with the versions, numbers and times they have elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from flowrun.registry.entities import ModelVersion, RegisteredModel
from flowrun.tracking.sql.database import Connection, Database

_SELECT = "SELECT creation_time_ms FROM registered_models WHERE name = :name"
_INSERT = """
    INSERT INTO registered_models
        (name, creation_time_ms, last_update_time_ms, description, last_version)
    VALUES (:name, :creation_time_ms, :last_update_time_ms, :description, :last_version)
    ON CONFLICT DO NOTHING
"""
_SELECT_PK = "SELECT registered_model_pk FROM registered_models WHERE name = :name"
_INSERT_TAG = """
    INSERT INTO registered_model_tags (registered_model_pk, key, value) VALUES (?, ?, ?)
    ON CONFLICT DO NOTHING
"""
_INSERT_VERSION = """
    INSERT INTO model_versions
        (registered_model_pk, version, creation_time_ms, last_update_time_ms, description,
         user_id, stage, status, source, download_uri, run_id, run_link, model_id)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO NOTHING RETURNING version
"""
_INSERT_VERSION_TAG = """
    INSERT INTO model_version_tags (registered_model_pk, version, key, value) VALUES (?, ?, ?, ?)
    ON CONFLICT DO NOTHING
"""
_INSERT_ALIAS = """
    INSERT INTO registered_model_aliases (registered_model_pk, alias, version) VALUES (?, ?, ?)
    ON CONFLICT DO NOTHING
"""


class SqlRegistryImport:
    """Adds what another registry has to a SQL registry."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def creation_time_of(self, name: str) -> int | None:
        """Give when the registered model of this name was made; None if there is none."""
        with self._database.read() as connection:
            row = connection.execute(_SELECT, {"name": name}).fetchone()
            return None if row is None else int(row[0])

    def add_model(
        self, model: RegisteredModel, versions: Sequence[ModelVersion], last_version: int
    ) -> None:
        """Add a model with its versions; of one that is there, what is missing.

        Args:
            model: its aliases may point to the given versions only.
            versions: their stages come without a history of how they got them.
            last_version: the highest number ever given, also to a version since deleted.
        """
        values = {
            "name": model.name,
            "creation_time_ms": model.creation_time_ms,
            "last_update_time_ms": model.last_update_time_ms,
            "description": model.description,
            "last_version": last_version,
        }
        with self._database.write() as connection:
            connection.execute(_INSERT, values)
            (pk,) = connection.execute(_SELECT_PK, {"name": model.name}).fetchone()
            rows = [(pk, key, value) for key, value in model.tags.items()]
            connection.executemany(_INSERT_TAG, rows)
            for version in versions:
                _add_version(connection, pk, version)
            aliases = [(pk, alias, int(number)) for alias, number in model.aliases.items()]
            connection.executemany(_INSERT_ALIAS, aliases)


def _add_version(connection: Connection, pk: int, version: ModelVersion) -> None:
    number = int(version.version)
    is_new = connection.execute(
        _INSERT_VERSION,
        (
            *(pk, number, version.creation_time_ms, version.last_update_time_ms),
            *(version.description, version.user_id, version.stage.value, version.status.value),
            *(version.source, version.download_uri),
            *(version.run_id, version.run_link, version.model_id),
        ),
    ).fetchone()
    if is_new is None:
        return
    rows = [(pk, number, key, value) for key, value in version.tags.items()]
    connection.executemany(_INSERT_VERSION_TAG, rows)
