"""Requests to move a version in SQL: made, found, decided; a rollback beside them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from flowrun.errors import InvalidStateError, InvalidValueError, NotFoundError
from flowrun.registry.entities import ModelVersion, Stage
from flowrun.registry.requests import (
    Asked,
    Decision,
    Move,
    PromotionRequest,
    RequestStatus,
    check_asked,
    check_move,
    check_text,
    one_line,
)
from flowrun.registry.rollback import ROLLBACK, find_rollback
from flowrun.registry.sql.guards import check_decider
from flowrun.registry.sql.history import Act, read_history
from flowrun.registry.sql.moves import apply_move, check_holder, check_places
from flowrun.registry.sql.outbox import tell_request
from flowrun.registry.sql.part import RegistryPart
from flowrun.registry.sql.reading import StoredVersion, find_model, find_version, read_version
from flowrun.registry.webhooks import WebhookEvent
from flowrun.tracking.sql.database import Connection

APPROVAL = "approval"
"""What `Transition.via` says of a move that was approved."""

_COLUMNS = (
    "request_pk, name, version, stage, alias, archive_existing, time_ms, user_id, reason, run_id,"
    " condition, holder, approvers, status, decided_by, decided_time_ms, comment"
)
_SELECT = f"""
    SELECT {_COLUMNS} FROM promotion_requests JOIN registered_models USING (registered_model_pk)
"""
_SELECT_ONE = f"{_SELECT} WHERE request_pk = :request_pk"
_SELECT_OF_MODEL = f"{_SELECT} WHERE registered_model_pk = :pk ORDER BY request_pk"
_SELECT_STATUS = f"{_SELECT} WHERE status = :status ORDER BY request_pk"
_SELECT_ALL = f"{_SELECT} ORDER BY request_pk"
_SELECT_SAME = f"""
    {_SELECT} WHERE registered_model_pk = :pk AND version = :version AND status = 'pending'
        AND COALESCE(stage, '') = :stage AND COALESCE(alias, '') = :alias
"""
_INSERT = """
    INSERT INTO promotion_requests
        (registered_model_pk, version, stage, alias, archive_existing, time_ms, user_id, reason,
         run_id, condition, holder, approvers, status, decided_by, decided_time_ms, comment)
    VALUES (:pk, :version, :stage, :alias, :archive, :now, :user_id, :reason, :run_id, :condition,
            :holder, :approvers, 'pending', '', NULL, '')
    RETURNING request_pk
"""
_DECIDE = """
    UPDATE promotion_requests SET status = :status, decided_by = :decided_by,
        decided_time_ms = :now, comment = :comment
    WHERE request_pk = :request_pk
"""
_CANCEL = """
    UPDATE promotion_requests SET status = 'cancelled', decided_time_ms = :now,
        comment = 'its version was deleted'
    WHERE registered_model_pk = :pk AND version = :version AND status = 'pending'
"""
_SELECT_LIVING = "SELECT version FROM model_versions WHERE registered_model_pk = :pk"


class SqlPromotionRequests(RegistryPart):
    """The requests of `SqlRegistryStore`; what each call promises is told in the protocol."""

    def request_promotion(
        self, name: str, version: str, move: Move, asked: Asked
    ) -> PromotionRequest:
        """Ask that a version be moved."""
        check_move(move)
        check_places(move)
        check_asked(asked)
        with self._database.write(name) as connection:
            found = find_version(connection, name, version)
            place = {"stage": move.stage or "", "alias": move.alias or ""}
            where = {"pk": found.pk, "version": found.version, **place}
            row = connection.execute(_SELECT_SAME, where).fetchone()
            if row is not None:
                return _request(row)
            values = {
                "pk": found.pk,
                "version": found.version,
                "stage": move.stage,
                "alias": move.alias,
                "archive": int(move.archive_existing),
                "now": self._now(),
                "user_id": asked.user_id,
                "reason": asked.reason,
                "run_id": asked.run_id,
                "condition": asked.condition,
                "holder": asked.holder,
                "approvers": json.dumps(asked.approvers),
            }
            (request_pk,) = connection.execute(_INSERT, values).fetchone()
            made = _read(connection, request_pk)
            tell_request(connection, WebhookEvent.REQUEST_CREATED, made)
            return made

    def get_promotion_request(self, request_id: str) -> PromotionRequest:
        """Give a request as it is now."""
        with self._database.read() as connection:
            return _read(connection, _number(request_id))

    def list_promotion_requests(
        self, name: str | None = None, status: RequestStatus | None = None
    ) -> list[PromotionRequest]:
        """Give requests, oldest first."""
        with self._database.read() as connection:
            if name is not None:
                where = {"pk": find_model(connection, name).pk}
                rows = connection.execute(_SELECT_OF_MODEL, where)
            elif status is not None:
                rows = connection.execute(_SELECT_STATUS, {"status": status})
            else:
                rows = connection.execute(_SELECT_ALL)
            found = [_request(row) for row in rows]
        return [each for each in found if status in {None, each.status}]

    def decide_promotion(self, request_id: str, decision: Decision) -> PromotionRequest:
        """Approve a request, which moves its version at once, or reject it."""
        number = _number(request_id)
        check_text("comment", decision.comment)
        name = self.get_promotion_request(request_id).name
        with self._database.write(name) as connection:
            request = _read(connection, number)
            _check_pending(request)
            found = find_version(connection, request.name, request.version)
            check_decider(
                connection,
                found.pk,
                request.move,
                user_id=decision.user_id,
                asked_by=request.user_id,
                approvers=request.approvers,
            )
            status = RequestStatus.APPROVED if decision.is_approved else RequestStatus.REJECTED
            act = Act(
                self._now(),
                decision.user_id,
                decision.comment or request.reason,
                request.run_id,
                APPROVAL,
            )
            if decision.is_approved:
                _carry_out(connection, request, found, decision.holder, act)
            values = {
                "request_pk": number,
                "status": status,
                "decided_by": decision.user_id,
                "now": act.time_ms,
                "comment": decision.comment,
            }
            connection.execute(_DECIDE, values)
            decided = _read(connection, number)
            event = WebhookEvent.REQUEST_APPROVED
            event = event if decision.is_approved else WebhookEvent.REQUEST_REJECTED
            tell_request(connection, event, decided)
            return decided

    def roll_back(
        self,
        name: str,
        *,
        stage: Stage | None,
        alias: str | None,
        user_id: str,
        reason: str,
        expected: str | None = None,
    ) -> ModelVersion:
        """Take the last promotion to a place back, stage and alias together."""
        with self._database.write(name) as connection:
            pk = find_model(connection, name).pk
            numbers = connection.execute(_SELECT_LIVING, {"pk": pk}).fetchall()
            living = {str(number) for (number,) in numbers}
            history = read_history(connection, pk, name, None)
            back = find_rollback(name, history, living, stage=stage, alias=alias, expected=expected)
            check_decider(connection, pk, back.move, user_id=user_id, asked_by="")
            found = find_version(connection, name, back.target)
            reason = reason or f"back from version {back.current}"
            apply_move(
                connection, found, back.move, Act(self._now(), user_id, reason, None, ROLLBACK)
            )
            return read_version(connection, name, back.target)


def cancel_requests(connection: Connection, version: StoredVersion, now: int) -> None:
    """Leave nothing to decide about a version that goes."""
    where = {"pk": version.pk, "version": version.version, "now": now}
    connection.execute(_CANCEL, where)


def _carry_out(
    connection: Connection,
    request: PromotionRequest,
    found: StoredVersion,
    looked_at: str | None,
    act: Act,
) -> None:
    """Move the version, if the condition was looked at with the version that has the place now."""
    if request.holder is not None:
        holder = request.holder if looked_at is None else looked_at
        check_holder(connection, found.pk, request.name, request.move, holder)
    apply_move(connection, found, request.move, act)


def _check_pending(request: PromotionRequest) -> None:
    if request.status is RequestStatus.PENDING:
        return
    by = f" by {one_line(request.decided_by)}" if request.decided_by else ""
    why = f": {one_line(request.comment)}" if request.comment else ""
    raise InvalidStateError(
        f"the request that {request.version_uri} be {request.move} was {request.status}{by}{why}"
    )


def _number(request_id: str) -> int:
    if not (request_id.isascii() and request_id.isdecimal() and len(request_id) < 10):
        raise InvalidValueError(f"'{request_id}' is no number of a promotion request")
    return int(request_id)


def _read(connection: Connection, request_pk: int) -> PromotionRequest:
    row = connection.execute(_SELECT_ONE, {"request_pk": request_pk}).fetchone()
    if row is None:
        raise NotFoundError(f"there is no promotion request {request_pk}, or its model was deleted")
    return _request(row)


def _request(row: Any) -> PromotionRequest:  # noqa: ANN401 - a row of _COLUMNS
    (pk, name, version, stage, alias, archive, time_ms, user_id, reason, run_id, *rest) = row
    condition, holder, approvers, status, decided_by, decided_time_ms, comment = rest
    request = PromotionRequest(
        str(pk),
        name,
        str(version),
        Move(Stage(stage) if stage else None, alias, bool(archive)),
        time_ms,
        user_id,
        reason,
        run_id,
        condition,
        holder,
        tuple(json.loads(approvers)),
    )
    return replace(
        request,
        status=RequestStatus(status),
        decided_by=decided_by,
        decided_time_ms=decided_time_ms,
        comment=comment,
    )
