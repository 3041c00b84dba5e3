"""How a version moves: stage and alias in one transaction, each with a line in the history."""

from __future__ import annotations

from flowrun.errors import InvalidStateError, InvalidValueError
from flowrun.registry.entities import Stage
from flowrun.registry.requests import Move
from flowrun.registry.sql.history import Act, record_stage
from flowrun.registry.sql.models import alias_holder, point_alias
from flowrun.registry.sql.reading import StoredVersion
from flowrun.tracking import checks
from flowrun.tracking.sql.database import Connection

_ARCHIVING = (Stage.STAGING, Stage.PRODUCTION)
"""The stages that only one version may be meant to have."""

_SET_STAGE = """
    UPDATE model_versions SET stage = :stage, last_update_time_ms = :now
    WHERE registered_model_pk = :pk AND version = :version
"""
_SELECT_OTHERS = """
    SELECT version FROM model_versions
    WHERE registered_model_pk = :pk AND stage = :stage AND version != :version ORDER BY version
"""
_SELECT_NEWEST = """
    SELECT MAX(version) FROM model_versions WHERE registered_model_pk = :pk AND stage = :stage
"""
TOUCH_MODEL = """
    UPDATE registered_models SET last_update_time_ms = :now WHERE registered_model_pk = :pk
"""


def check_places(move: Move) -> None:
    """Refuse a move that no version can make, in MLflow's words."""
    if move.alias is not None:
        checks.check_alias(move.alias)
    if move.stage is not None and move.archive_existing and move.stage not in _ARCHIVING:
        raise InvalidValueError(
            "Model version transition cannot archive existing model versions because "
            f"'{move.stage}' is not an Active stage. "
            f"Valid stages are {[each.value for each in _ARCHIVING]}"
        )


def holder_of(connection: Connection, pk: int, move: Move) -> str:
    """Give the version that holds the place of a move now, the stage's before the alias'; or ''."""
    if move.stage is not None:
        where = {"pk": pk, "stage": move.stage}
        (version,) = connection.execute(_SELECT_NEWEST, where).fetchone()
    else:
        version = alias_holder(connection, pk, move.alias or "")
    return "" if version is None else str(version)


def check_holder(connection: Connection, pk: int, name: str, move: Move, holder: str) -> None:
    """Refuse a move whose condition was looked at when another version held the place.

    Raises:
        InvalidStateError: it is another one now.
    """
    now = holder_of(connection, pk, move)
    if now != holder:
        raise InvalidStateError(
            f"{move} of '{name}' is held by {_shown(now)}, no longer by {_shown(holder)}, with "
            "which it was compared: look at the condition again"
        )


def apply_move(connection: Connection, found: StoredVersion, move: Move, act: Act) -> None:
    """Move a version that exists."""
    pk, stage = found.pk, move.stage
    if stage is not None:
        if move.archive_existing:
            where = {"pk": pk, "version": found.version, "stage": stage}
            for (other,) in connection.execute(_SELECT_OTHERS, where).fetchall():
                _set_stage(connection, pk, other, stage, Stage.ARCHIVED, act)
        _set_stage(connection, pk, found.version, Stage(found.stage), stage, act)
    if move.alias is not None:
        point_alias(connection, pk, move.alias, found.version, act)
    connection.execute(TOUCH_MODEL, {"pk": pk, "now": act.time_ms})


def _set_stage(
    connection: Connection, pk: int, version: int, before: Stage, after: Stage, act: Act
) -> None:
    values = {"pk": pk, "version": version, "stage": after, "now": act.time_ms}
    connection.execute(_SET_STAGE, values)
    record_stage(connection, pk, version, before, after, act)


def _shown(version: str) -> str:
    return f"version {version}" if version else "no version"
