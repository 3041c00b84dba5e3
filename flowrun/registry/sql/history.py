"""The history of stages and aliases in SQL: rows are added, never changed."""

from __future__ import annotations

from flowrun.registry.entities import Transition
from flowrun.registry.sql.outbox import tell_alias, tell_stage
from flowrun.tracking.sql.database import Connection
from flowrun.valueclass import valueclass


@valueclass
class Act:
    """Who changes something, when and why."""

    time_ms: int
    user_id: str = ""
    reason: str = ""
    run_id: str | None = None
    via: str = ""


_INSERT = """
    INSERT INTO model_version_transitions
        (registered_model_pk, version, time_ms, user_id, kind, before, after, alias, reason,
         run_id, via)
    VALUES (:pk, :version, :time_ms, :user_id, :kind, :before, :after, :alias, :reason, :run_id,
            :via)
"""
_SELECT = """
    SELECT version, time_ms, user_id, kind, before, after, alias, reason, run_id,
        COALESCE(via, '')
    FROM model_version_transitions
    WHERE registered_model_pk = :pk AND version = COALESCE(:version, version)
    ORDER BY transition_pk
"""


def record_stage(
    connection: Connection, pk: int, version: int, before: str, after: str, act: Act
) -> None:
    """Add that a version's stage changed, and tell webhooks."""
    _record(connection, pk, version, act, kind="stage", before=before, after=after, alias="")
    tell_stage(connection, pk, version, before, after, act.time_ms)


def record_alias(
    connection: Connection,
    pk: int,
    alias: str,
    before: int | None,
    after: int | None,
    act: Act,
) -> None:
    """Add that an alias moved (None is no version), and tell webhooks.

    The line belongs to the version it has now.
    """
    shown = ["" if version is None else str(version) for version in (before, after)]
    version = before if after is None else after
    assert version is not None, "an alias moves from a version, to a version, or both"  # noqa: S101
    _record(
        connection, pk, version, act, kind="alias", before=shown[0], after=shown[1], alias=alias
    )
    tell_alias(connection, pk, alias, after, act.time_ms)


def read_history(
    connection: Connection, pk: int, name: str, version: int | None
) -> list[Transition]:
    """Give the history of a model, or of one of its versions, oldest first."""
    return [
        Transition(
            name=name,
            version=str(number),
            time_ms=time_ms,
            user_id=user_id,
            kind=kind,
            before=before,
            after=after,
            alias=alias,
            reason=reason,
            run_id=run_id,
            via=via,
        )
        for number, time_ms, user_id, kind, before, after, alias, reason, run_id, via in (
            connection.execute(_SELECT, {"pk": pk, "version": version})
        )
    ]


def _record(
    connection: Connection,
    pk: int,
    version: int,
    act: Act,
    *,
    kind: str,
    before: str,
    after: str,
    alias: str,
) -> None:
    connection.execute(
        _INSERT,
        {
            "pk": pk,
            "version": version,
            "time_ms": act.time_ms,
            "user_id": act.user_id,
            "kind": kind,
            "before": before,
            "after": after,
            "alias": alias,
            "reason": act.reason,
            "run_id": act.run_id,
            "via": act.via or None,
        },
    )
