"""Versions of registered models in SQL: made, moved between stages, searched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flowrun.registry.entities import ModelVersion, Stage, Transition, parse_stage
from flowrun.registry.origin import VersionLookup, find_origin
from flowrun.registry.requests import Move
from flowrun.registry.sql import search
from flowrun.registry.sql.guards import check_unguarded
from flowrun.registry.sql.history import Act, read_history, record_alias
from flowrun.registry.sql.models import version_by_alias
from flowrun.registry.sql.moves import TOUCH_MODEL, apply_move, check_holder, check_places
from flowrun.registry.sql.outbox import tell_version_created, tell_version_tag
from flowrun.registry.sql.part import RegistryPart
from flowrun.registry.sql.reading import (
    StoredVersion,
    find_model,
    find_version,
    latest_versions,
    read_aliases,
    read_rows,
    read_version,
    to_versions,
)
from flowrun.registry.sql.requests import cancel_requests
from flowrun.tracking import checks, limits
from flowrun.tracking.entities import Page
from flowrun.tracking.paging import offset_of, page_of
from flowrun.tracking.sql.database import Connection
from flowrun.tracking.sql.part import chunks

_NEXT_NUMBER = """
    UPDATE registered_models SET last_version = last_version + 1, last_update_time_ms = :now
    WHERE registered_model_pk = :pk RETURNING last_version
"""
_INSERT = """
    INSERT INTO model_versions
        (registered_model_pk, version, creation_time_ms, last_update_time_ms, description,
         user_id, stage, status, source, download_uri, run_id, run_link, model_id)
    VALUES (:pk, :version, :now, :now, :description, :user_id, 'None', 'READY', :source,
            :download_uri, :run_id, :run_link, :model_id)
"""
_DESCRIBE = """
    UPDATE model_versions SET description = :description, last_update_time_ms = :now
    WHERE registered_model_pk = :pk AND version = :version
"""
_DELETE = "DELETE FROM model_versions WHERE registered_model_pk = :pk AND version = :version"
_SET_TAG = """
    INSERT INTO model_version_tags (registered_model_pk, version, key, value) VALUES (?, ?, ?, ?)
    ON CONFLICT (registered_model_pk, version, key) DO UPDATE SET value = excluded.value
"""
_DELETE_TAG = """
    DELETE FROM model_version_tags
    WHERE registered_model_pk = :pk AND version = :version AND key = :key RETURNING key
"""


class SqlModelVersions(RegistryPart):
    """The versions of `SqlRegistryStore`; what each call promises is told in the protocol."""

    def create_model_version(
        self,
        name: str,
        source: str,
        *,
        run_id: str | None = None,
        run_link: str | None = None,
        model_id: str | None = None,
        description: str = "",
        tags: Mapping[str, str] | None = None,
        user_id: str | None = None,
    ) -> ModelVersion:
        """Make the next version."""
        tags = tags or {}
        for key, value in tags.items():
            checks.check_registry_tag(key, value)
        # Before the transaction: it reads the tracking store, whose writers it would hold up.
        with self._database.read() as connection:
            origin = find_origin(_lookup(connection), self._tracking, source, run_id, model_id)
        with self._database.write(name) as connection:
            pk = find_model(connection, name).pk
            now = self._now()
            (version,) = connection.execute(_NEXT_NUMBER, {"pk": pk, "now": now}).fetchone()
            connection.execute(
                _INSERT,
                {
                    "pk": pk,
                    "version": version,
                    "now": now,
                    "description": description,
                    "user_id": user_id,
                    "source": source,
                    "download_uri": origin.download_uri,
                    "run_id": origin.run_id,
                    "run_link": run_link,
                    "model_id": origin.model_id,
                },
            )
            rows = [(pk, version, key, value) for key, value in tags.items()]
            connection.executemany(_SET_TAG, rows)
            made = read_version(connection, name, str(version))
            tell_version_created(connection, made)
            return made

    def get_model_version(self, name: str, version: str) -> ModelVersion:
        """Give one version."""
        with self._database.read() as connection:
            return read_version(connection, name, version)

    def get_latest_versions(self, name: str, stages: Sequence[str] = ()) -> list[ModelVersion]:
        """Give the newest version of each stage asked for."""
        wanted = {parse_stage(stage) for stage in stages} or set(Stage)
        with self._database.read() as connection:
            found = latest_versions(connection, [find_model(connection, name).pk])
        return [version for version in found if version.stage in wanted]

    def search_model_versions(
        self,
        *,
        filter_text: str = "",
        order_by: Sequence[str] = (),
        max_results: int = 10_000,
        page_token: str | None = None,
    ) -> Page[ModelVersion]:
        """Find versions."""
        checks.check_max_results(max_results, limits.MAX_MODEL_VERSION_RESULTS)
        offset = offset_of(page_token)
        query = search.versions_query(filter_text, order_by)
        with self._database.read() as connection:
            keys = query.rows(connection, max_results + 1, offset)
            found = [each for part in chunks(keys) for each in _read(connection, part)]
        return page_of(found, offset, max_results)

    def update_model_version(self, name: str, version: str, description: str) -> ModelVersion:
        """Set the description."""
        with self._database.write(name) as connection:
            found = find_version(connection, name, version)
            connection.execute(
                _DESCRIBE,
                {
                    "pk": found.pk,
                    "version": found.version,
                    "description": description,
                    "now": self._now(),
                },
            )
            return read_version(connection, name, version)

    def transition_stage(
        self,
        name: str,
        version: str,
        stage: Stage,
        *,
        archive_existing: bool = False,
        user_id: str = "",
        reason: str = "",
        run_id: str | None = None,
    ) -> ModelVersion:
        """Move a version to a stage."""
        return self.promote(
            name,
            version,
            stage=stage,
            alias=None,
            archive_existing=archive_existing,
            user_id=user_id,
            reason=reason,
            run_id=run_id,
        )

    def promote(
        self,
        name: str,
        version: str,
        *,
        stage: Stage | None,
        alias: str | None,
        archive_existing: bool,
        user_id: str,
        reason: str,
        run_id: str | None,
        holder: str | None = None,
    ) -> ModelVersion:
        """Move stage and alias in one transaction, with the history."""
        move = Move(stage, alias, archive_existing)
        check_places(move)
        with self._database.write(name) as connection:
            found = find_version(connection, name, version)
            check_unguarded(connection, found.pk, name, move)
            if holder is not None:
                check_holder(connection, found.pk, name, move, holder)
            apply_move(connection, found, move, Act(self._now(), user_id, reason, run_id))
            return read_version(connection, name, version)

    def delete_model_version(self, name: str, version: str) -> None:
        """Remove a version and the aliases that point to it."""
        with self._database.write(name) as connection:
            found = find_version(connection, name, version)
            act = Act(self._now())
            for alias, number in read_aliases(connection, [found.pk]).get(found.pk, {}).items():
                if number == found.version:
                    record_alias(connection, found.pk, alias, number, None, act)
            cancel_requests(connection, found, act.time_ms)
            # Its tags and aliases go with it, by their foreign keys.
            connection.execute(_DELETE, {"pk": found.pk, "version": found.version})
            connection.execute(TOUCH_MODEL, {"pk": found.pk, "now": act.time_ms})

    def set_model_version_tag(self, name: str, version: str, key: str, value: str) -> None:
        """Set or replace a tag."""
        checks.check_registry_tag(key, value)
        with self._database.write(name) as connection:
            found = find_version(connection, name, version)
            connection.execute(_SET_TAG, (found.pk, found.version, key, value))
            tell_version_tag(connection, found.pk, found.version, key, value, self._now())

    def delete_model_version_tag(self, name: str, version: str, key: str) -> None:
        """Remove a tag."""
        with self._database.write(name) as connection:
            found = find_version(connection, name, version)
            where = {"pk": found.pk, "version": found.version, "key": key}
            if connection.execute(_DELETE_TAG, where).fetchone():
                tell_version_tag(connection, found.pk, found.version, key, None, self._now())

    def get_history(self, name: str, version: str | None = None) -> list[Transition]:
        """Give the history of a model or of one version, oldest first."""
        number = None if version is None else checks.parse_version(version)
        with self._database.read() as connection:
            return read_history(connection, find_model(connection, name).pk, name, number)


def _lookup(connection: Connection) -> VersionLookup:
    return VersionLookup(
        by_number=lambda name, version: read_version(connection, name, version),
        by_alias=lambda name, alias: version_by_alias(connection, name, alias),
        latest=lambda name: latest_versions(connection, [find_model(connection, name).pk]),
    )


def _read(connection: Connection, keys: Sequence[tuple[object, ...]]) -> list[ModelVersion]:
    by_key = {row[:2]: StoredVersion._make(row) for row in read_rows(connection, keys)}
    return to_versions(connection, [by_key[key] for key in keys])
