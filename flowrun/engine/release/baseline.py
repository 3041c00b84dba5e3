"""Which model an `evaluate` step compares with: a version, once and for all its turn.

An alias means another version tomorrow, so it is never what a step is known by. That nobody has it
yet is no failure: the first release has no champion.
"""

from __future__ import annotations

from collections.abc import Mapping

from flowrun.engine.request import Rehearsal
from flowrun.engine.values import as_text
from flowrun.errors import NotFoundError
from flowrun.models.uri import AliasUri, StageUri, is_model_uri, parse_model_uri
from flowrun.plan.evaluation import CHAMPION
from flowrun.plan.plan import CommandAction, PlannedStep
from flowrun.registry.entities import RegisteredModel, parse_stage
from flowrun.registry.store import RegistryStore

NONE = "none"
"""What the argument says where there is no champion."""


def settled(
    step: PlannedStep,
    arguments: Mapping[str, object],
    registry: RegistryStore,
    rehearsal: Rehearsal | None,
) -> dict[str, object]:
    """Give the arguments of a step with its baseline as one version, or without one.

    Args:
        step: whose arguments they are; most have no baseline.
        arguments: as evaluated.
        registry: knows who has an alias.
        rehearsal: a recorded run is carried out again: its champion counts, not that of today.

    Raises:
        FlowrunError: the registry can't be asked, or the URI is malformed.
    """
    action, found = step.action, dict(arguments)
    name = action.baseline if isinstance(action, CommandAction) else None
    if name is None:
        return found
    given = found.pop(name, None)
    champion: object = NONE
    if rehearsal is not None and step.id in rehearsal.champions:
        champion = rehearsal.champions[step.id]
    elif given is not None and as_text(given):
        champion = _one_version(given, registry)
    if champion != NONE:
        found[name] = champion
    found[CHAMPION] = as_text(champion)
    return found


def _one_version(given: object, registry: RegistryStore) -> object:
    uri = as_text(given)
    parsed = parse_model_uri(uri) if is_model_uri(uri) else None
    if not isinstance(parsed, AliasUri | StageUri):
        return given
    try:
        version = _holder(parsed, registry.get_registered_model(parsed.name))
    except NotFoundError:
        return NONE
    return NONE if version is None else f"models:/{parsed.name}/{version}"


def _holder(uri: AliasUri | StageUri, model: RegisteredModel) -> str | None:
    match uri:
        case AliasUri(alias="latest"):
            found = model.latest_versions
        case AliasUri(alias=alias):
            return model.aliases.get(alias)
        case StageUri(stage=name):
            stage = parse_stage(name)
            found = tuple(each for each in model.latest_versions if each.stage is stage)
    return max((each.version for each in found), key=int, default=None)
