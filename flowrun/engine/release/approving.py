"""Promotions that somebody has to approve: asked for by a step, waited for, decided."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from flowrun.engine.record.live import PARENT_TAG
from flowrun.engine.release.champions import Champion, Champions
from flowrun.errors import (
    CancelledError,
    FlowrunError,
    InvalidStateError,
    InvalidValueError,
    NotFoundError,
)
from flowrun.plan.closed import conditions_from_text, unmet
from flowrun.registry.requests import Decision, Move, PromotionRequest, RequestStatus, one_line
from flowrun.registry.store import RegistryStore
from flowrun.tracking.store import TrackingStore

LOOKS_EVERY_S = 0.5
_LOOKS_AGAIN = 5
"""So often another champion may come while somebody approves."""


def asked_before(
    registry: RegistryStore,
    tracking: TrackingStore,
    name: str,
    version: str,
    move: Move,
    pipeline_run_id: str,
) -> PromotionRequest | None:
    """Give the newest request for a move that a run of a pipeline has made; None if there is none.

    Args:
        registry: where it may be.
        tracking: where the runs are that made requests.
        name: of the model.
        version: of it.
        move: where it was to go.
        pipeline_run_id: the pipeline's run, which is gone on with.
    """
    if not registry.keeps_requests:
        return None
    for request in reversed(registry.list_promotion_requests(name)):
        if request.version == version and request.move == move and request.run_id is not None:
            try:
                run = tracking.get_run(request.run_id)
            except NotFoundError:
                continue  # purged since
            if pipeline_run_id in {request.run_id, run.tags.get(PARENT_TAG)}:
                return request
    return None


def decision_on(
    registry: RegistryStore,
    request: PromotionRequest,
    wait_s: float,
    is_stopped: Callable[[], bool],
) -> PromotionRequest:
    """Give a request when it is decided, or as it is after a time.

    Args:
        registry: where it is.
        request: as it was a moment ago.
        wait_s: the time; may be infinite.
        is_stopped: whether the step that waits is to end.

    Raises:
        CancelledError: it is.
        NotFoundError: the model was deleted.
    """
    until, pause = time.monotonic() + wait_s, threading.Event()
    while request.status is RequestStatus.PENDING and time.monotonic() < until:
        if is_stopped():
            raise CancelledError(f"cancelled; {ask_text(request)}")
        pause.wait(min(LOOKS_EVERY_S, max(until - time.monotonic(), 0)))
        request = registry.get_promotion_request(request.request_id)
    return request


def ask_text(request: PromotionRequest) -> str:
    """Say what a request waits for, and who may give it."""
    whom = f" by {one_line(' or '.join(request.approvers))}" if request.approvers else ""
    return (
        f"{request.version_uri} to {request.move} waits for an approval{whom}: "
        f"flowrun models approve {request.version_uri}"
    )


def decided_text(request: PromotionRequest) -> str:
    """Say what was decided about a request, by whom and why."""
    by = f" by {one_line(request.decided_by)}" if request.decided_by else ""
    why = f": {one_line(request.comment)}" if request.comment else ""
    return f"{request.status}{by}{why}"


def approve(
    registry: RegistryStore, tracking: TrackingStore, request: PromotionRequest, decision: Decision
) -> PromotionRequest:
    """Approve a request; with another champion than then, its condition is looked at again.

    Args:
        registry: where it is.
        tracking: where the champion's run is.
        request: as it is.
        decision: what is decided; its `holder` is filled in here.

    Raises:
        InvalidStateError: the condition does not hold any more, or cannot be looked at again; or
            the request is decided.
        PermissionDeniedError: it takes somebody else.
    """
    for _ in range(_LOOKS_AGAIN):
        champion = Champions(registry, tracking).of(request.name, request.move)
        if request.holder is not None and champion.version != request.holder:
            _check_again(request, champion)
        holder = champion.version if request.holder is not None else None
        given = Decision(decision.is_approved, decision.user_id, decision.comment, holder)
        try:
            return registry.decide_promotion(request.request_id, given)
        except (InvalidStateError, InvalidValueError):
            # Unless the champion has changed once more in this very moment, it stays refused.
            now = Champions(registry, tracking).of(request.name, request.move)
            if holder is None or now.version == holder:
                raise
    raise InvalidStateError(f"{request.move} of '{request.name}' changes all the time: try again")


def _check_again(request: PromotionRequest, champion: Champion) -> None:
    held = f"{request.move} is held by version {champion.version} now"
    held = held if champion.version else f"{request.move} is empty now"
    try:
        reason = unmet(conditions_from_text(request.condition), champion.names)
    except FlowrunError as error:
        raise InvalidStateError(
            f"{held}, which was otherwise when {request.version_uri} was asked for, and the "
            f"condition can't be looked at again: {error.message}"
        ) from error
    if reason is not None:
        raise InvalidStateError(
            f"{request.version_uri} does not go to {request.move}: {held}, and its condition is "
            f"not met any more: {reason}",
            f"Reject it (flowrun models reject {request.version_uri}), or go back to the version "
            "before (flowrun models rollback).",
        )
