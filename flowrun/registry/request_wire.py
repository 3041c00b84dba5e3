"""JSON for promotion requests; flowrun's own, MLflow has none."""

from __future__ import annotations

from flowrun.registry.entities import parse_stage
from flowrun.registry.requests import Asked, Decision, Move, PromotionRequest, RequestStatus
from flowrun.tracking.fields import Fields, JsonObject
from flowrun.tracking.wire import compact


def move_json(move: Move) -> JsonObject:
    """Give where a version is to go, as fields beside others."""
    return compact(
        stage=move.stage.value if move.stage else None,
        alias=move.alias,
        archive_existing_versions=move.archive_existing,
    )


def move_from(fields: Fields) -> Move:
    """Read where a version is to go."""
    stage = fields.text_or_none("stage") or None
    return Move(
        parse_stage(stage) if stage else None,
        fields.text_or_none("alias") or None,
        fields.flag("archive_existing_versions"),
    )


def request_json(request: PromotionRequest) -> JsonObject:
    """Give a request; that nothing depends on the place's holder is shown by its absence."""
    return compact(
        request_id=request.request_id,
        name=request.name,
        version=request.version,
        **move_json(request.move),
        time_ms=request.time_ms,
        **asked_json(_asked(request)),
        status=request.status.value,
        decided_by=request.decided_by or None,
        decided_time_ms=request.decided_time_ms,
        comment=request.comment or None,
    )


def request_from(fields: Fields) -> PromotionRequest:
    """Read a request."""
    asked = asked_from(fields)
    return PromotionRequest(
        fields.text("request_id"),
        fields.text("name"),
        fields.text("version"),
        move_from(fields),
        fields.integer("time_ms"),
        asked.user_id,
        asked.reason,
        asked.run_id,
        asked.condition,
        asked.holder,
        asked.approvers,
        RequestStatus(fields.text("status")),
        fields.text_or("decided_by"),
        fields.integer_or_none("decided_time_ms"),
        fields.text_or("comment"),
    )


def asked_json(asked: Asked) -> JsonObject:
    """Give what a request says beside where the version is to go."""
    return compact(
        user_id=asked.user_id or None,
        reason=asked.reason or None,
        run_id=asked.run_id,
        condition=asked.condition or None,
        holder=asked.holder,
        approvers=list(asked.approvers),
    )


def asked_from(fields: Fields, user: str = "") -> Asked:
    """Read it; whom the server knows, is who asks."""
    return Asked(
        user or fields.text_or("user_id"),
        fields.text_or("reason"),
        fields.text_or_none("run_id") or None,
        fields.text_or("condition"),
        fields.text_or_none("holder"),
        tuple(fields.texts("approvers")),
    )


def decision_json(decision: Decision) -> JsonObject:
    """Give what somebody decides."""
    return compact(
        user_id=decision.user_id or None,
        comment=decision.comment or None,
        holder=decision.holder,
    )


def decision_from(fields: Fields, user: str, *, is_approved: bool) -> Decision:
    """Read what somebody decides."""
    return Decision(
        is_approved,
        user or fields.text_or("user_id"),
        fields.text_or("comment"),
        fields.text_or_none("holder"),
    )


def _asked(request: PromotionRequest) -> Asked:
    return Asked(
        request.user_id,
        request.reason,
        request.run_id,
        request.condition,
        request.holder,
        request.approvers,
    )
