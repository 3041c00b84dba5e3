"""Who keeps a version from being moved: the rules on its registered model, in SQL."""

from __future__ import annotations

from flowrun.errors import PermissionDeniedError
from flowrun.registry.approval import Rule, guarded, refusal, rule_tag, rules_of
from flowrun.registry.requests import Move
from flowrun.tracking.sql.database import Connection

_SELECT_TAGS = """
    SELECT key, value FROM registered_model_tags
    WHERE registered_model_pk = :pk AND key IN (:stage, :alias)
"""
_ASK = "Ask for it: `promote:` in a pipeline does, and `flowrun models promote ... --request`."


def read_rules(connection: Connection, pk: int, move: Move) -> dict[str, Rule]:
    """Give the rules that guard the places of a move."""
    where = {
        "pk": pk,
        "stage": rule_tag(move.stage or ""),
        "alias": rule_tag(f"@{move.alias or ''}"),
    }
    return rules_of(dict(connection.execute(_SELECT_TAGS, where).fetchall()), move)


def check_unguarded(connection: Connection, pk: int, name: str, move: Move) -> None:
    """Refuse to move a version without an approval where one is needed."""
    rules = read_rules(connection, pk, move)
    if rules:
        raise PermissionDeniedError(guarded(name, rules), _ASK)


def check_decider(
    connection: Connection,
    pk: int,
    move: Move,
    *,
    user_id: str,
    asked_by: str,
    approvers: tuple[str, ...] = (),
) -> None:
    """Refuse who may not decide about a move."""
    rules = read_rules(connection, pk, move).values()
    reason = refusal(rules, approvers, asked_by, user_id)
    if reason is not None:
        raise PermissionDeniedError(reason)
