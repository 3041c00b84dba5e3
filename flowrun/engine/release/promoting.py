"""What a `promote` step does: it moves a version, or asks that somebody lets it move."""

from __future__ import annotations

from flowrun.engine.release.registering import Evaluate, StepError
from flowrun.engine.services import Services
from flowrun.engine.values import as_text
from flowrun.errors import NotFoundError, UnsupportedError
from flowrun.registry.approval import Rule, no_approvals_text, rules_of
from flowrun.registry.entities import ModelVersion, Stage
from flowrun.registry.requests import MAX_TEXT, Asked, Move, PromotionRequest
from flowrun.spec.project import Promote, Value
from flowrun.valueclass import valueclass


@valueclass
class Promotion:
    """What a `promote` says, its expressions evaluated."""

    name: str
    version: str
    move: Move
    reason: str
    """'' where the step gives none."""


def move_of(action: Promote, evaluate: Evaluate) -> Move:
    """Give where a `promote` moves its version to.

    Raises:
        StepError: there is no such stage.
    """
    stage = _stage(as_text(evaluate(action.stage))) if action.stage is not None else None
    alias = as_text(evaluate(action.alias)) if action.alias else None
    return Move(stage, alias, action.archive_existing)


def promotion_of(action: Promote, evaluate: Evaluate) -> Promotion:
    """Give what a `promote` says now."""

    def text(value: Value | None) -> str:
        return as_text(evaluate(value)) if value is not None else ""

    return Promotion(
        text(action.name), text(action.version), move_of(action, evaluate), text(action.reason)
    )


def needed_approval(
    action: Promote, promotion: Promotion, services: Services
) -> dict[str, Rule] | None:
    """Give the registry's rules for a promotion that needs an approval; None if it needs none.

    Raises:
        UnsupportedError: it needs one, and the registry keeps no requests.
    """
    registry = services.registry
    if not registry.keeps_requests:
        if action.needs_approval:
            raise UnsupportedError(no_approvals_text(services.tracking_uri))
        return None
    try:
        tags = registry.get_registered_model(promotion.name).tags
    except NotFoundError:
        tags = {}  # the promotion itself says so
    rules = rules_of(tags, promotion.move)
    return rules if rules or action.needs_approval else None


def promote_version(
    promotion: Promotion, services: Services, run_id: str, why: str, holder: str | None
) -> ModelVersion:
    """Move a version, if the place is held by whom the step has compared it with."""
    move = promotion.move
    return services.registry.promote(
        promotion.name,
        promotion.version,
        stage=move.stage,
        alias=move.alias,
        archive_existing=move.archive_existing,
        user_id=services.user,
        reason=(promotion.reason or why)[:MAX_TEXT],
        run_id=run_id,
        holder=holder,
    )


def ask_for(
    promotion: Promotion,
    services: Services,
    run_id: str,
    why: str,
    condition: str,
    holder: str | None,
    approvers: tuple[str, ...],
) -> PromotionRequest:
    """Ask that a version be moved.

    Args:
        promotion: what is asked for.
        services: the registry, and who asks.
        run_id: the step's own run.
        why: the reason, if the step gives none.
        condition: what must hold of the champion; see `plan.closed`.
        holder: with which version that was found to hold; None: it depends on none.
        approvers: who may approve; none: anybody.
    """
    reason = (promotion.reason or why)[:MAX_TEXT]
    asked = Asked(services.user, reason, run_id, condition, holder, approvers)
    return services.registry.request_promotion(
        promotion.name, promotion.version, promotion.move, asked
    )


def _stage(text: str) -> Stage:
    for stage in Stage:
        if stage.value.lower() == text.lower():
            return stage
    known = ", ".join(stage.value for stage in Stage)
    raise StepError(f"'{text}' is no stage; the stages are {known}")
