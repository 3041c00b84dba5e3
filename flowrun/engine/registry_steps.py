"""The steps that the engine carries out itself: select, register, promote."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from flowrun.engine.recorder import StepRecord
from flowrun.engine.services import Services
from flowrun.engine.values import OutputValue, as_text
from flowrun.errors import AlreadyExistsError, FlowrunError, NotFoundError
from flowrun.models.uri import LoggedModelUri, RunUri, parse_model_uri
from flowrun.plan.expressions import StepResult
from flowrun.plan.plan import SelectAction
from flowrun.registry.entities import ModelVersion, Stage
from flowrun.registry.noted import note_version
from flowrun.registry.store import RegistryStore
from flowrun.spec.project import Promote, Register, Value
from flowrun.stores import all_items
from flowrun.tracking.entities import Run
from flowrun.valueclass import valueclass

Evaluate = Callable[[Value], object]


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
        found = f"; logged are {', '.join(names)}" if names else "; no metric was logged"
        raise StepError(f"no candidate has a number for metric '{action.metric}'{found}")
    pick = min if action.mode == "min" else max
    return pick(scored, key=lambda item: item[0])[1]


def _instances(result: StepResult) -> tuple[StepResult, ...]:
    """Give a candidate, or all instances of a `foreach` that it stands for."""
    return (result,) if result.instances is None else result.instances


def register_model(
    action: Register,
    evaluate: Evaluate,
    services: Services,
    record: StepRecord,
    lineage: Callable[[str], Mapping[str, str]],
    maker: Mapping[str, str],
    *,
    is_again: bool,
) -> ModelVersion:
    """Make a model version of a model output, unless an earlier attempt has made it.

    Args:
        action: the step's `register`.
        evaluate: value to what it says now.
        services: the registry and tracking store.
        record: the step's own run.
        lineage: run id to the tags that tie a version to code, inputs and environment.
        maker: tags that no other version has but what this very step has made.
        is_again: whether flowrun may have been killed after an earlier attempt had made it.
    """
    name = as_text(evaluate(action.name))
    source = evaluate(action.model)
    if source is None or as_text(source) == "":
        raise StepError(f"there is no model to register as '{name}': `model` is empty")
    uri = as_text(source)
    run_id, model_id = _origin(uri, services)
    tags = {key: as_text(evaluate(value)) for key, value in action.tags.items()}
    if run_id is not None:
        tags = {**lineage(run_id), **tags}
    tags |= maker
    if isinstance(source, OutputValue):
        tags["flowrun.model.sha256"] = source.digest.sha256
    with suppress(AlreadyExistsError):
        services.registry.create_registered_model(name)
    description = as_text(evaluate(action.description)) if action.description else ""
    version = _made_before(services.registry, name, maker) if is_again else None
    if version is None:
        version = services.registry.create_model_version(
            name,
            uri,
            run_id=run_id,
            model_id=model_id,
            description=description,
            tags=tags,
            user_id=services.user,
        )
    if model_id is not None:
        note_version(services.tracking, model_id, version)
    if action.alias is not None:
        services.registry.set_alias(
            name,
            as_text(evaluate(action.alias)),
            version.version,
            user_id=services.user,
            reason="registered by a pipeline",
            run_id=record.run_id,
        )
    return version


def _made_before(
    registry: RegistryStore, name: str, maker: Mapping[str, str]
) -> ModelVersion | None:
    quote = '"' if "'" in name else "'"
    versions = all_items(
        lambda token: registry.search_model_versions(
            filter_text=f"name = {quote}{name}{quote}", page_token=token
        )
    )
    return next((each for each in versions if maker.items() <= each.tags.items()), None)


def promote_version(
    action: Promote, evaluate: Evaluate, services: Services, record: StepRecord, why: str
) -> ModelVersion:
    """Move a model version to a stage, an alias, or both."""
    name, version = as_text(evaluate(action.name)), as_text(evaluate(action.version))
    reason = as_text(evaluate(action.reason)) if action.reason else why
    return services.registry.promote(
        name,
        version,
        stage=stage_of(action, evaluate),
        alias=as_text(evaluate(action.alias)) if action.alias else None,
        archive_existing=action.archive_existing,
        user_id=services.user,
        reason=reason,
        run_id=record.run_id,
    )


def stage_of(action: Promote, evaluate: Evaluate) -> Stage | None:
    """Give the stage that a `promote` moves to; None if it only sets an alias."""
    if action.stage is None:
        return None
    text = as_text(evaluate(action.stage))
    for stage in Stage:
        if stage.value.lower() == text.lower():
            return stage
    known = ", ".join(stage.value for stage in Stage)
    raise StepError(f"'{text}' is no stage; the stages are {known}")


@valueclass
class Champions:
    """Looks up the version that holds the place a `promote` step moves to."""

    services: Services

    def of(self, action: Promote, evaluate: Evaluate) -> Mapping[str, object] | None:
        """Give the current champion as expressions see it, None if the place is empty."""
        version = self._current(action, evaluate)
        if version is None:
            return None
        run = self._run(version)
        return {
            "name": version.name,
            "version": version.version,
            "run_id": version.run_id,
            "tags": dict(version.tags),
            "metrics": {k: m.value for k, m in run.metrics.items()} if run else {},
            "params": dict(run.params) if run else {},
        }

    def _current(self, action: Promote, evaluate: Evaluate) -> ModelVersion | None:
        registry, name = self.services.registry, as_text(evaluate(action.name))
        stage = stage_of(action, evaluate)
        try:
            if stage is not None:
                versions: Sequence[ModelVersion] = registry.get_latest_versions(name, [stage])
                return versions[0] if versions else None
            if action.alias is not None:
                return registry.get_version_by_alias(name, as_text(evaluate(action.alias)))
        except NotFoundError:
            return None
        return None

    def _run(self, version: ModelVersion) -> Run | None:
        if version.run_id is None:
            return None
        try:
            return self.services.tracking.get_run(version.run_id)
        except NotFoundError:
            return None  # purged since


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
