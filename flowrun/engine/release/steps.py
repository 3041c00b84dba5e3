"""The turn of a step that writes to the model registry: register and promote."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from flowrun.engine.events import StepStatus
from flowrun.engine.failure import CommandEnded
from flowrun.engine.record.recorder import DECLINED_TAG, PENDING_TAG, StepRecord
from flowrun.engine.release.approving import ask_text, asked_before, decided_text, decision_on
from flowrun.engine.release.champions import Champion, Champions
from flowrun.engine.release.lineage import PIPELINE_RUN_TAG, REGISTERED_BY_TAG
from flowrun.engine.release.promoting import (
    Promotion,
    ask_for,
    move_of,
    needed_approval,
    promote_version,
    promotion_of,
)
from flowrun.engine.release.registering import candidate_of, register_model, registered_before
from flowrun.engine.release.words import places_text, promoted_text, registered_text
from flowrun.engine.request import Releasing
from flowrun.engine.services import Services
from flowrun.engine.values import as_text
from flowrun.errors import InvalidStateError, InvalidValueError
from flowrun.plan.closed import closed_conditions, conditions_to_text
from flowrun.plan.expressions import StepResult, is_true
from flowrun.plan.plan import PlannedStep
from flowrun.registry.approval import Rule
from flowrun.registry.entities import ModelVersion
from flowrun.registry.requests import PromotionRequest, RequestStatus
from flowrun.registry.required import check_required, machine_keys
from flowrun.spec.project import Promote, Register, Value

DRY_RUN_TAG = "flowrun.dry_run"
"""On a step's run: it only said what it would do."""
UNMADE = "new"
"""The version that a dry run would have made."""
_LOOKS_AGAIN = 5
"""So often another may be promoted while a step is about to."""


class Turn(Protocol):
    """A step's turn, as far as these steps look at it."""

    @property
    def services(self) -> Services:
        """The registry and the rest."""

    @property
    def releasing(self) -> Releasing:
        """What the run was asked."""

    @property
    def step(self) -> PlannedStep:
        """The step."""

    @property
    def directory(self) -> Path:
        """The project's, with its code."""

    @property
    def attempt(self) -> int:
        """The number of this attempt at it."""

    def evaluate(self, value: Value) -> object:
        """Give what a value comes to."""

    def begin(self, kind: str, params: Mapping[str, object]) -> StepRecord:
        """Make the step's run."""

    def pipeline_run_id(self, record: StepRecord | None) -> str:
        """Give the pipeline's run, or without one the step's own."""

    def lineage(self, run_id: str) -> Mapping[str, str]:
        """Give the tags that tie a version to what a run was made of."""

    def seen_champion(self) -> Champion | None:
        """Give the champion that the conditions have looked at; None if they have at none."""

    def holds_again(self) -> bool:
        """Look at the conditions again, with the champion as it is now."""

    def conditions(self) -> str:
        """Give the conditions in words, '' for none."""

    @property
    def results(self) -> Mapping[str, StepResult]:
        """Of all steps that have ended."""

    @property
    def visible(self) -> Mapping[str, str]:
        """What `env.NAME` means."""

    def is_stopped(self) -> bool:
        """Tell whether the step is to end."""

    def tell(self, text: str) -> None:
        """Say what the step is at."""


def release(turn: Turn, action: Register | Promote) -> CommandEnded:
    """Carry such a step out."""
    return register(turn, action) if isinstance(action, Register) else promote(turn, action)


def champion_of(turn: Turn, action: Promote) -> Champion:
    """Give who holds the place that a promotion is about, as it is now."""
    champions = Champions(turn.services.registry, turn.services.tracking)
    return champions.of(as_text(turn.evaluate(action.name)), move_of(action, turn.evaluate))


def is_dry(turn: Turn, action: Register | Promote) -> bool:
    """Tell whether a step is only to say what it would do."""
    asked = action.dry_run
    return turn.releasing.is_dry_run or (asked is not None and is_true(turn.evaluate(asked)))


def register(turn: Turn, action: Register) -> CommandEnded:
    """Make a model version, or take the one that there is of the same model."""
    dry = is_dry(turn, action)
    params = {"name": turn.evaluate(action.name), "model": turn.evaluate(action.model)}
    record = turn.begin("register", params)
    if dry:
        return _would_register(turn, action, record)
    made = register_model(
        action,
        turn.evaluate,
        turn.services,
        record,
        turn.lineage,
        {
            PIPELINE_RUN_TAG: turn.pipeline_run_id(record),
            REGISTERED_BY_TAG: turn.step.id,
        },
        is_again=turn.attempt > 1,
    )
    record.tags["flowrun.value.version"] = made.version.version
    detail = registered_text(made.version.name, made.version.version)
    detail = detail if made.is_new else f"{detail}, registered before"
    return CommandEnded(StepStatus.SUCCEEDED, detail, _registered(made.version))


def promote(turn: Turn, action: Promote) -> CommandEnded:
    """Move a version, or ask that somebody lets it move."""
    promotion = promotion_of(action, turn.evaluate)
    dry = is_dry(turn, action)
    record = turn.begin("promote", _params(promotion))
    if dry:
        return _would_promote(turn, action, promotion, record)
    _check_signatures(turn, action, promotion)
    rules = needed_approval(action, promotion, turn.services)
    if rules is not None:
        request = ask_for(
            promotion,
            turn.services,
            record.run_id,
            _why(turn),
            _closed_conditions(turn),
            _holder(turn),
            action.approvers,
        )
        return _awaited(turn, promotion, request, record)
    for _ in range(_LOOKS_AGAIN):
        holder = _holder(turn)
        try:
            version = promote_version(promotion, turn.services, record.run_id, _why(turn), holder)
        except (InvalidStateError, InvalidValueError):
            if holder is None:
                raise
            holds = turn.holds_again()
            if _holder(turn) == holder:
                raise
            if not holds:
                return _declined(turn, record)
        else:
            return _promoted(version, promotion, record)
    raise InvalidStateError(f"{promotion.move} of '{promotion.name}' changes all the time")


def _check_signatures(turn: Turn, action: Promote, promotion: Promotion) -> None:
    services = turn.services
    keys = machine_keys(services.variables, services.cwd)
    if action.require_signature is not None:
        keys.append(turn.directory / as_text(turn.evaluate(action.require_signature)))
    check_required(services, promotion.name, promotion.version, promotion.move, keys)


def asked_already(turn: Turn, action: Promote) -> CommandEnded | None:
    """Go on with the request that an earlier attempt of the same run made; None: it made none."""
    if turn.attempt == 1 or is_dry(turn, action):
        return None
    promotion = promotion_of(action, turn.evaluate)
    request = asked_before(
        turn.services.registry,
        turn.services.tracking,
        promotion.name,
        promotion.version,
        promotion.move,
        turn.pipeline_run_id(None),
    )
    if request is None:
        return None
    record = turn.begin("promote", _params(promotion))
    return _awaited(turn, promotion, request, record)


def _awaited(
    turn: Turn, promotion: Promotion, request: PromotionRequest, record: StepRecord
) -> CommandEnded:
    """Wait for a decision as long as was asked for, and end as it says."""
    wait_s, registry = turn.releasing.wait_s, turn.services.registry
    if wait_s is not None and request.status is RequestStatus.PENDING:
        turn.tell(ask_text(request))
        request = decision_on(registry, request, wait_s, turn.is_stopped)
    match request.status:
        case RequestStatus.PENDING:
            record.tags[PENDING_TAG] = request.request_id
            return CommandEnded(StepStatus.PENDING, ask_text(request))
        case RequestStatus.APPROVED:
            version = registry.get_model_version(promotion.name, promotion.version)
            return _promoted(version, promotion, record, f" ({decided_text(request)})")
        case RequestStatus.REJECTED | RequestStatus.CANCELLED:
            told = f"{request.version_uri} to {request.move} was {decided_text(request)}"
            return CommandEnded(StepStatus.FAILED, told)


def _promoted(
    version: ModelVersion, promotion: Promotion, record: StepRecord, how: str = ""
) -> CommandEnded:
    stage = version.stage.value
    record.tags["flowrun.value.stage"] = stage
    outputs = {"name": version.name, "version": version.version, "stage": stage}
    detail = promoted_text(version.name, version.version, *_places(promotion))
    return CommandEnded(StepStatus.SUCCEEDED, f"{detail}{how}", outputs)


def _declined(turn: Turn, record: StepRecord) -> CommandEnded:
    reason = f"another was promoted meanwhile; its condition is not met: {turn.conditions()}"
    record.tags[DECLINED_TAG] = reason
    return CommandEnded(StepStatus.SKIPPED, reason)


def _would_register(turn: Turn, action: Register, record: StepRecord) -> CommandEnded:
    services = turn.services
    candidate = candidate_of(action, turn.evaluate, services)
    version = None if action.always else registered_before(candidate, services.registry)
    record.tags[DRY_RUN_TAG] = "true"
    if version is not None:
        told = f"dry run: {version.name} version {version.version} is the same model"
        return CommandEnded(StepStatus.SUCCEEDED, told, _registered(version))
    told = f"dry run: would make a version of {candidate.name} of {candidate.uri}"
    model = turn.evaluate(action.model)  # what others make of it, they make of the model itself
    outputs = {"name": candidate.name, "version": UNMADE, "model": model}
    return CommandEnded(StepStatus.SUCCEEDED, told, outputs)


def _would_promote(
    turn: Turn, action: Promote, promotion: Promotion, record: StepRecord
) -> CommandEnded:
    """Say what would be done; what needs the promotion is skipped, since it has not happened."""
    registry = turn.services.registry
    if promotion.version != UNMADE:
        registry.get_model_version(promotion.name, promotion.version)
    rules = needed_approval(action, promotion, turn.services)
    places = places_text(*_places(promotion))
    told = [f"dry run: would move {promotion.name} version {promotion.version} to {places}"]
    champion = turn.seen_champion()
    if champion is not None:
        held = f"in place of version {champion.version}" if champion.version else "which is empty"
        told.append(held)
    told.append(_why(turn))
    if rules is not None:
        told.append(_approval_text(action, rules))
    record.tags |= {DRY_RUN_TAG: "true", DECLINED_TAG: "; ".join(told)}
    return CommandEnded(StepStatus.SKIPPED, "; ".join(told))


def _approval_text(action: Promote, rules: Mapping[str, Rule]) -> str:
    whom = dict.fromkeys(str(rule) for rule in (*rules.values(), Rule(action.approvers)))
    named = [each for each in whom if each != str(Rule())]
    return f"once approved by {' and '.join(named) or Rule()}"


def _registered(version: ModelVersion) -> dict[str, object]:
    return {
        "name": version.name,
        "version": version.version,
        "model": f"models:/{version.name}/{version.version}",
    }


def _params(promotion: Promotion) -> dict[str, object]:
    stage, alias = _places(promotion)
    given = {key: value for key, value in {"to": stage, "alias": alias}.items() if value}
    return {"name": promotion.name, "version": promotion.version, **given}


def _places(promotion: Promotion) -> tuple[str | None, str | None]:
    move = promotion.move
    return move.stage.value if move.stage is not None else None, move.alias


def _closed_conditions(turn: Turn) -> str:
    """Give the conditions about the champion for somebody else to look at again."""
    return conditions_to_text(closed_conditions(turn.step, turn.results, env=turn.visible))


def _holder(turn: Turn) -> str | None:
    """Give with whom the step compared; None: its conditions ask about nobody."""
    champion = turn.seen_champion()
    return None if champion is None else champion.version


def _why(turn: Turn) -> str:
    conditions = turn.conditions()
    return f"condition met: {conditions}" if conditions else "no condition"
