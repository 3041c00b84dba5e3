"""Registered models, their tags and aliases in SQL."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from flowrun.errors import AlreadyExistsError, InvalidValueError, NotFoundError
from flowrun.registry.approval import check_rule_tag
from flowrun.registry.entities import ModelVersion, RegisteredModel
from flowrun.registry.requests import Move
from flowrun.registry.sql import search
from flowrun.registry.sql.guards import check_unguarded
from flowrun.registry.sql.history import Act, record_alias
from flowrun.registry.sql.outbox import tell_model_created, tell_model_tag
from flowrun.registry.sql.part import RegistryPart
from flowrun.registry.sql.reading import (
    MODEL_COLUMNS,
    find_model,
    find_version,
    latest_versions,
    read_aliases,
    read_version,
)
from flowrun.registry.sql.search import PROMPT_TAG
from flowrun.tracking import checks, limits
from flowrun.tracking.entities import Page
from flowrun.tracking.paging import offset_of, page_of
from flowrun.tracking.sql.database import Connection
from flowrun.tracking.sql.part import chunks, in_order, marks

_INSERT = """
    INSERT INTO registered_models
        (name, creation_time_ms, last_update_time_ms, description, last_version)
    VALUES (:name, :now, :now, :description, 0)
    ON CONFLICT DO NOTHING RETURNING registered_model_pk
"""
_SELECT_TAKEN = "SELECT registered_model_pk FROM registered_models WHERE name = :name"
_RENAME = """
    UPDATE registered_models SET name = :name, last_update_time_ms = :now
    WHERE registered_model_pk = :pk
"""
_TOUCH_VERSIONS = """
    UPDATE model_versions SET last_update_time_ms = :now WHERE registered_model_pk = :pk
"""
_DESCRIBE = """
    UPDATE registered_models SET description = :description, last_update_time_ms = :now
    WHERE registered_model_pk = :pk
"""
_DELETE = "DELETE FROM registered_models WHERE registered_model_pk = :pk"
_SET_TAG = """
    INSERT INTO registered_model_tags (registered_model_pk, key, value) VALUES (?, ?, ?)
    ON CONFLICT (registered_model_pk, key) DO UPDATE SET value = excluded.value
"""
_DELETE_TAG = """
    DELETE FROM registered_model_tags WHERE registered_model_pk = :pk AND key = :key
    RETURNING key
"""
_SELECT_ALIAS = """
    SELECT version FROM registered_model_aliases
    WHERE registered_model_pk = :pk AND alias = :alias
"""
_SET_ALIAS = """
    INSERT INTO registered_model_aliases (registered_model_pk, alias, version)
    VALUES (:pk, :alias, :version)
    ON CONFLICT (registered_model_pk, alias) DO UPDATE SET version = excluded.version
"""
_DELETE_ALIAS = """
    DELETE FROM registered_model_aliases WHERE registered_model_pk = :pk AND alias = :alias
"""
_SELECT_NEWEST = "SELECT MAX(version) FROM model_versions WHERE registered_model_pk = :pk"


class SqlRegisteredModels(RegistryPart):
    """The models of `SqlRegistryStore`; what each call promises is told in the protocol."""

    def create_registered_model(
        self, name: str, *, description: str = "", tags: Mapping[str, str] | None = None
    ) -> RegisteredModel:
        """Make one."""
        checks.check_registered_model_name(name)
        tags = tags or {}
        for key, value in tags.items():
            checks.check_registry_tag(key, value)
            check_rule_tag(key, value)
        with self._database.write(name) as connection:
            values = {"name": name, "now": self._now(), "description": description}
            row = connection.execute(_INSERT, values).fetchone()
            if row is None:
                raise _name_is_taken(_read_model(connection, name), tags)
            rows = [(row[0], key, value) for key, value in tags.items()]
            connection.executemany(_SET_TAG, rows)
            model = _read_model(connection, name)
            tell_model_created(connection, model)
            return model

    def get_registered_model(self, name: str) -> RegisteredModel:
        """Give one with its aliases and latest versions."""
        with self._database.read() as connection:
            return _read_model(connection, name)

    def search_registered_models(
        self,
        *,
        filter_text: str = "",
        order_by: Sequence[str] = (),
        max_results: int = 100,
        page_token: str | None = None,
    ) -> Page[RegisteredModel]:
        """Find models; by name."""
        checks.check_max_results(max_results, limits.MAX_REGISTERED_MODEL_RESULTS)
        offset = offset_of(page_token)
        query = search.models_query(filter_text, order_by)
        with self._database.read() as connection:
            pks = query.keys(connection, max_results + 1, offset)
            found = [model for part in chunks(pks) for model in _read_models(connection, part)]
        return page_of(found, offset, max_results)

    def rename_registered_model(self, name: str, new_name: str) -> RegisteredModel:
        """Rename one, with its versions and history."""
        checks.check_registered_model_name(new_name, "new_name")
        with self._database.write() as connection:
            pk = find_model(connection, name).pk
            taken = connection.execute(_SELECT_TAKEN, {"name": new_name}).fetchone()
            if taken and taken[0] != pk:
                raise AlreadyExistsError(f"Registered Model (name={new_name}) already exists.")
            now = self._now()
            connection.execute(_RENAME, {"pk": pk, "name": new_name, "now": now})
            connection.execute(_TOUCH_VERSIONS, {"pk": pk, "now": now})
            return _read_model(connection, new_name)

    def update_registered_model(self, name: str, description: str) -> RegisteredModel:
        """Set the description."""
        with self._database.write(name) as connection:
            pk = find_model(connection, name).pk
            values = {"pk": pk, "description": description, "now": self._now()}
            connection.execute(_DESCRIBE, values)
            return _read_model(connection, name)

    def delete_registered_model(self, name: str) -> None:
        """Remove one with its versions."""
        with self._database.write(name) as connection:
            connection.execute(_DELETE, {"pk": find_model(connection, name).pk})

    def set_registered_model_tag(self, name: str, key: str, value: str) -> None:
        """Set or replace a tag."""
        checks.check_registry_tag(key, value)
        check_rule_tag(key, value)
        with self._database.write(name) as connection:
            pk = find_model(connection, name).pk
            connection.execute(_SET_TAG, (pk, key, value))
            tell_model_tag(connection, pk, key, value, self._now())

    def delete_registered_model_tag(self, name: str, key: str) -> None:
        """Remove a tag."""
        with self._database.write(name) as connection:
            pk = find_model(connection, name).pk
            if connection.execute(_DELETE_TAG, {"pk": pk, "key": key}).fetchone():
                tell_model_tag(connection, pk, key, None, self._now())

    def set_alias(
        self,
        name: str,
        alias: str,
        version: str,
        *,
        user_id: str = "",
        reason: str = "",
        run_id: str | None = None,
    ) -> None:
        """Point an alias to a version."""
        checks.check_alias(alias)
        with self._database.write(name) as connection:
            found = find_version(connection, name, version)
            check_unguarded(connection, found.pk, name, Move(alias=alias))
            act = Act(self._now(), user_id, reason, run_id)
            point_alias(connection, found.pk, alias, found.version, act)

    def delete_alias(self, name: str, alias: str, *, user_id: str = "") -> None:
        """Remove an alias."""
        with self._database.write(name) as connection:
            pk = find_model(connection, name).pk
            version = alias_holder(connection, pk, alias)
            if version is not None:
                connection.execute(_DELETE_ALIAS, {"pk": pk, "alias": alias})
                act = Act(self._now(), user_id)
                record_alias(connection, pk, alias, version, None, act)

    def get_version_by_alias(self, name: str, alias: str) -> ModelVersion:
        """Give the version an alias points to."""
        with self._database.read() as connection:
            return version_by_alias(connection, name, alias)


def version_by_alias(connection: Connection, name: str, alias: str) -> ModelVersion:
    """Give the version an alias points to; `latest` is the newest of all."""
    pk = find_model(connection, name).pk
    if alias.lower() == "latest":
        (version,) = connection.execute(_SELECT_NEWEST, {"pk": pk}).fetchone()
        if version is None:
            raise NotFoundError(f"Latest version not found for model {name}.")
    else:
        version = alias_holder(connection, pk, alias)
        if version is None:
            raise InvalidValueError(f"Registered model alias {alias} not found.")
    return read_version(connection, name, str(version))


def point_alias(connection: Connection, pk: int, alias: str, version: int, act: Act) -> None:
    """Let an alias point to a version that exists, with a line in the history."""
    before = alias_holder(connection, pk, alias)
    connection.execute(_SET_ALIAS, {"pk": pk, "alias": alias, "version": version})
    record_alias(connection, pk, alias, before, version, act)


def alias_holder(connection: Connection, pk: int, alias: str) -> int | None:
    """Give the version an alias points to; None if there is none."""
    row = connection.execute(_SELECT_ALIAS, {"pk": pk, "alias": alias}).fetchone()
    return row[0] if row else None


def _read_model(connection: Connection, name: str) -> RegisteredModel:
    return _read_models(connection, [find_model(connection, name).pk])[0]


def _read_models(connection: Connection, pks: Sequence[object]) -> list[RegisteredModel]:
    rows = connection.execute(
        f"SELECT {MODEL_COLUMNS} FROM registered_models"
        f" WHERE registered_model_pk IN ({marks(pks)})",
        pks,
    ).fetchall()
    tags: defaultdict[int, dict[str, str]] = defaultdict(dict)
    for pk, key, value in connection.execute(
        "SELECT registered_model_pk, key, value FROM registered_model_tags"
        f" WHERE registered_model_pk IN ({marks(pks)})",
        pks,
    ):
        tags[pk][key] = value
    aliases = read_aliases(connection, pks)
    latest: defaultdict[str, list[ModelVersion]] = defaultdict(list)
    for version in latest_versions(connection, pks):
        latest[version.name].append(version)
    return [
        RegisteredModel(
            name=name,
            creation_time_ms=created,
            last_update_time_ms=updated,
            description=description,
            tags=tags.get(pk, {}),
            aliases={alias: str(version) for alias, version in aliases.get(pk, {}).items()},
            latest_versions=tuple(latest.get(name, ())),
        )
        for pk, name, created, updated, description in in_order(pks, rows)
    ]


def _name_is_taken(existing: RegisteredModel, tags: Mapping[str, str]) -> AlreadyExistsError:
    old, new = (
        "Prompt" if each.get(PROMPT_TAG, "").lower() == "true" else "Registered Model"
        for each in (existing.tags, tags)
    )
    if old == new:
        return AlreadyExistsError(f"{new} (name={existing.name}) already exists.")
    return AlreadyExistsError(
        f"Tried to create a {new.lower()} with name {existing.name!r}, but the name is already "
        f"taken by a {old.lower()}. MLflow does not allow creating a model and a prompt with the "
        "same name."
    )
