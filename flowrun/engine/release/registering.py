"""The steps that the engine carries out itself: select and register; `promoting.py` has promote."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import suppress

from flowrun.engine.record.recorder import StepRecord
from flowrun.engine.services import Services
from flowrun.engine.values import OutputValue, as_text
from flowrun.errors import AlreadyExistsError, FlowrunError, NotFoundError
from flowrun.models.uri import LoggedModelUri, RunUri, parse_model_uri
from flowrun.plan.expressions import StepResult
from flowrun.plan.plan import SelectAction
from flowrun.registry.entities import ModelVersion, VersionStatus
from flowrun.registry.noted import note_version
from flowrun.registry.origin import origin_in_run
from flowrun.registry.store import RegistryStore
from flowrun.spec.problems import did_you_mean, listed
from flowrun.spec.project import Register, Value
from flowrun.spec.values import number_of
from flowrun.stores import all_items
from flowrun.valueclass import valueclass

Evaluate = Callable[[Value], object]
SHA256_TAG = "flowrun.model.sha256"
"""On a version: the digest of its files."""


class StepError(FlowrunError):
    """A step that the engine carries out itself can't be."""


def select_best(action: SelectAction, results: Mapping[str, StepResult]) -> StepResult:
    """Give the candidate with the best metric; on a tie the first in matrix order."""
    candidates = [each for step_id in action.candidates for each in _instances(results[step_id])]
    scored = [
        (each.metrics[action.metric], each)
        for each in candidates
        if each.status == "succeeded" and action.metric in each.metrics
    ]
    # nan compares false with everything and would win or lose by position
    scored = [(value, each) for value, each in scored if not math.isnan(value)]
    if not scored:
        names = sorted({name for each in candidates for name in each.metrics})
        nearest = did_you_mean(action.metric, names)
        found = f"logged are {listed(names)}.{nearest}" if names else "no metric was logged"
        raise StepError(f"no candidate has a number for metric '{action.metric}'; {found}")
    pick = min if action.mode == "min" else max
    return pick(scored, key=lambda item: item[0])[1]


def check_threshold(action: SelectAction, best: StepResult, threshold: object) -> None:
    """Refuse a best candidate that is not good enough.

    Raises:
        StepError: it does not reach the threshold, or that is no number.
    """
    value, limit = best.metrics[action.metric], number_of(threshold)
    if limit is None:
        raise StepError(f"`threshold` comes to '{threshold}', which is no number")
    if value > limit if action.mode == "min" else value < limit:
        need = "at most" if action.mode == "min" else "at least"
        raise StepError(
            f"the best candidate, {best.id}, is not good enough: {action.metric} is {value:g} and "
            f"has to be {need} {limit:g}"
        )


def _instances(result: StepResult) -> tuple[StepResult, ...]:
    """Give a candidate, or all instances of a `foreach` that it stands for."""
    return (result,) if result.instances is None else result.instances


@valueclass
class Registered:
    """What came of a `register`."""

    version: ModelVersion
    is_new: bool


@valueclass
class Candidate:
    """A model that is to be registered; its files are there."""

    name: str
    uri: str
    """`runs:/...` or `models:/m-...`."""
    run_id: str | None
    model_id: str | None
    sha256: str | None
    """The digest of its files, where that is known."""


def candidate_of(action: Register, evaluate: Evaluate, services: Services) -> Candidate:
    """Give what is to be registered.

    Raises:
        StepError: there is no model, or its files are gone.
    """
    name = as_text(evaluate(action.name))
    source = evaluate(action.model)
    if source is None or as_text(source) == "":
        raise StepError(f"there is no model to register as '{name}': `model` is empty")
    uri = as_text(source)
    run_id, model_id = _origin(uri, services)
    _check_files(uri, run_id, model_id, services)
    digest = source.digest.sha256 if isinstance(source, OutputValue) else None
    return Candidate(name, uri, run_id, model_id, digest)


def registered_before(candidate: Candidate, registry: RegistryStore) -> ModelVersion | None:
    """Give the newest version of the same model from the same run; None if there is none."""
    if candidate.run_id is None:
        return None
    try:
        found = _versions(registry, candidate.name, f" AND run_id = '{candidate.run_id}'")
    except NotFoundError:
        return None
    same = [each for each in found if _is_same(candidate, each)]
    return max(same, key=lambda each: int(each.version), default=None)


def register_model(
    action: Register,
    evaluate: Evaluate,
    services: Services,
    record: StepRecord,
    lineage: Callable[[str], Mapping[str, str]],
    maker: Mapping[str, str],
    *,
    is_again: bool,
) -> Registered:
    """Make a model version of a model output, unless there is one of the same model and run.

    Args:
        action: the step's `register`.
        evaluate: value to what it says now.
        services: the registry and tracking store.
        record: the step's own run.
        lineage: run id to the tags that tie a version to code, inputs and environment.
        maker: tags that no other version has but what this very step has made.
        is_again: whether flowrun may have been killed after an earlier attempt had made it.
    """
    candidate = candidate_of(action, evaluate, services)
    name, run_id, model_id = candidate.name, candidate.run_id, candidate.model_id
    tags = {key: as_text(evaluate(value)) for key, value in action.tags.items()}
    if run_id is not None:
        tags = {**lineage(run_id), **tags}
    tags |= maker
    if candidate.sha256 is not None:
        tags[SHA256_TAG] = candidate.sha256
    with suppress(AlreadyExistsError):
        services.registry.create_registered_model(name)
    description = as_text(evaluate(action.description)) if action.description else ""
    version = _made_before(services.registry, name, maker) if is_again else None
    if version is None and not action.always:
        version = registered_before(candidate, services.registry)
    is_new = version is None
    if version is None:
        version = services.registry.create_model_version(
            name,
            candidate.uri,
            run_id=run_id,
            model_id=model_id,
            description=description,
            tags=tags,
            user_id=services.user,
        )
    if model_id is not None:
        note_version(services.tracking, model_id, version)
    alias = as_text(evaluate(action.alias)) if action.alias is not None else None
    if alias is not None and alias not in version.aliases:
        services.registry.set_alias(
            name,
            alias,
            version.version,
            user_id=services.user,
            reason="registered by a pipeline",
            run_id=record.run_id,
        )
    return Registered(version, is_new)


def _made_before(
    registry: RegistryStore, name: str, maker: Mapping[str, str]
) -> ModelVersion | None:
    versions = _versions(registry, name)
    return next((each for each in versions if maker.items() <= each.tags.items()), None)


def _versions(registry: RegistryStore, name: str, more: str = "") -> list[ModelVersion]:
    quote = '"' if "'" in name else "'"
    return all_items(
        lambda token: registry.search_model_versions(
            filter_text=f"name = {quote}{name}{quote}{more}", page_token=token
        )
    )


def _is_same(candidate: Candidate, version: ModelVersion) -> bool:
    if version.status is not VersionStatus.READY:
        return False
    if candidate.model_id is not None:
        return version.model_id == candidate.model_id
    if candidate.sha256 is not None and SHA256_TAG in version.tags:
        return version.tags[SHA256_TAG] == candidate.sha256
    return version.source == candidate.uri


def _check_files(uri: str, run_id: str | None, model_id: str | None, services: Services) -> None:
    """Refuse a model whose files are gone; what can't be looked at from here is let through."""
    if model_id is not None:
        place = services.tracking.get_logged_model(model_id).artifact_uri
    else:
        path = uri.removeprefix(f"runs:/{run_id}").strip("/")
        place = origin_in_run(services.tracking, run_id or "", path).download_uri
    try:
        is_there = bool(services.open_artifacts(place).list())
    except NotFoundError:
        is_there = False
    except FlowrunError:
        return
    if not is_there:
        raise StepError(
            f"the model {uri} can't be registered: there are no files at {place} (any more); make "
            "them again with `flowrun run --rerun` and the step that made them"
        )


def _origin(uri: str, services: Services) -> tuple[str | None, str | None]:
    """Give the run and the logged model that a model URI names."""
    match parse_model_uri(uri):
        case RunUri(run_id, _):
            return run_id, None
        case LoggedModelUri(model_id):
            return services.tracking.get_logged_model(model_id).source_run_id, model_id
        case _:
            raise StepError(
                f"'{uri}' can't be registered: give a step's model output (runs:/ or models:/m-)"
            )
