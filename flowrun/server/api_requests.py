"""flowrun's own calls about promotion requests: asked, listed, decided; and rollbacks."""

from __future__ import annotations

from flowrun.errors import InvalidValueError
from flowrun.registry.entities import parse_stage
from flowrun.registry.request_wire import asked_from, decision_from, move_from, request_json
from flowrun.registry.requests import RequestStatus
from flowrun.registry.wire import model_version_json
from flowrun.server.messages import Call, Permission, Route
from flowrun.tracking.fields import JsonObject
from flowrun.tracking.wire import compact


def create_request(call: Call) -> JsonObject:
    """Ask that a version be moved to a stage, an alias or both, which somebody else decides."""
    fields = call.fields
    request = call.stores.registry.request_promotion(
        fields.text("name"),
        fields.text("version"),
        move_from(fields),
        asked_from(fields, call.user),
    )
    return {"promotion_request": request_json(request)}


def get_request(call: Call) -> JsonObject:
    """Give a promotion request with what was decided."""
    request = call.stores.registry.get_promotion_request(call.fields.text("request_id"))
    return {"promotion_request": request_json(request)}


def list_requests(call: Call) -> JsonObject:
    """Give promotion requests, oldest first; of one model, or of one status."""
    name = call.fields.text_or_none("name") or None
    found = call.stores.registry.list_promotion_requests(name, _status(call))
    return compact(promotion_requests=[request_json(request) for request in found])


def approve_request(call: Call) -> JsonObject:
    """Approve a promotion request, which moves its version at once."""
    return _decide(call, is_approved=True)


def reject_request(call: Call) -> JsonObject:
    """Reject a promotion request; its version stays where it is."""
    return _decide(call, is_approved=False)


def roll_back(call: Call) -> JsonObject:
    """Take the last promotion to a stage or alias back: the version before has them again."""
    fields = call.fields
    stage = fields.text_or_none("stage") or None
    version = call.stores.registry.roll_back(
        fields.text("name"),
        stage=parse_stage(stage) if stage else None,
        alias=fields.text_or_none("alias") or None,
        user_id=call.user or fields.text_or("user_id"),
        reason=fields.text_or("reason"),
        expected=fields.text_or_none("expected") or None,
    )
    return {"model_version": model_version_json(version)}


def _decide(call: Call, *, is_approved: bool) -> JsonObject:
    decision = decision_from(call.fields, call.user, is_approved=is_approved)
    request_id = call.fields.text("request_id")
    request = call.stores.registry.decide_promotion(request_id, decision)
    return {"promotion_request": request_json(request)}


def _status(call: Call) -> RequestStatus | None:
    text = call.fields.text_or_none("status") or None
    if text is None:
        return None
    try:
        return RequestStatus(text)
    except ValueError as error:
        known = ", ".join(RequestStatus)
        raise InvalidValueError(f"'{text}' is no status of a request; it is {known}") from error


_AT = "/api/flowrun/1.0/promotion-requests"
_READ, _WRITE = Permission.READ, Permission.WRITE

ROUTES = (
    Route("POST", f"{_AT}/create", _WRITE, create_request),
    Route("GET", f"{_AT}/get", _READ, get_request),
    Route("GET", f"{_AT}/list", _READ, list_requests, is_slow=True),
    Route("POST", f"{_AT}/approve", _WRITE, approve_request),
    Route("POST", f"{_AT}/reject", _WRITE, reject_request),
    Route("POST", "/api/flowrun/1.0/registered-models/rollback", _WRITE, roll_back),
)
