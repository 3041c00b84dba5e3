"""Where a new version comes from: its source URI resolved to files, run and logged model."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from flowrun.errors import NotFoundError
from flowrun.models.uri import (
    AliasUri,
    LoggedModelUri,
    RunUri,
    StageUri,
    VersionUri,
    is_model_uri,
    parse_model_uri,
)
from flowrun.registry.entities import ModelVersion, parse_stage
from flowrun.tracking.entities import LoggedModel
from flowrun.tracking.store import TrackingStore
from flowrun.valueclass import valueclass


@valueclass
class Origin:
    """What a version is made of; `download_uri` is an artifact URI."""

    download_uri: str
    run_id: str | None
    model_id: str | None


@valueclass
class VersionLookup:
    """How versions are found that another version is made of."""

    by_number: Callable[[str, str], ModelVersion]
    by_alias: Callable[[str, str], ModelVersion]
    latest: Callable[[str], list[ModelVersion]]
    """A model's newest version of each stage."""


def find_origin(
    versions: VersionLookup,
    tracking: TrackingStore,
    source: str,
    run_id: str | None,
    model_id: str | None,
) -> Origin:
    """Resolve a source as it is now; what the caller gives goes before what is found.

    Raises:
        NotFoundError: there is no such run, logged model or version.
    """
    found = _find(versions, tracking, source)
    model_id = model_id or found.model_id
    run_id = run_id or found.run_id
    if model_id and not run_id:
        run_id = tracking.get_logged_model(model_id).source_run_id
    return Origin(found.download_uri, run_id, model_id)


def _find(versions: VersionLookup, tracking: TrackingStore, source: str) -> Origin:
    if not is_model_uri(source):
        return Origin(source, None, None)
    match parse_model_uri(source):
        case LoggedModelUri(model_id):
            return _of_model(tracking.get_logged_model(model_id))
        case RunUri(run_id, path):
            return origin_in_run(tracking, run_id, path)
        case VersionUri(name, version):
            return _of_version(versions.by_number(name, version))
        case AliasUri(name, alias):
            return _of_version(versions.by_alias(name, alias))
        case StageUri(name, stage):
            return _of_version(_in_stage(versions, name, stage))
        case unknown:
            assert_never(unknown)


def _of_model(model: LoggedModel) -> Origin:
    return Origin(model.artifact_uri, model.source_run_id, model.model_id)


def origin_in_run(tracking: TrackingStore, run_id: str, path: str) -> Origin:
    """Give where a model of a run lies.

    A client of MLflow 3 logs it beside the run, under the name that the path has.
    """
    run = tracking.get_run(run_id)
    for output in run.model_outputs:
        model = tracking.get_logged_model(output.model_id)
        if model.name == path:
            return Origin(model.artifact_uri, run_id, model.model_id)
    return Origin(f"{run.info.artifact_uri.rstrip('/')}/{path}", run_id, None)


def _of_version(version: ModelVersion) -> Origin:
    return Origin(version.download_uri, version.run_id, version.model_id)


def _in_stage(versions: VersionLookup, name: str, stage: str) -> ModelVersion:
    wanted = parse_stage(stage)
    for version in versions.latest(name):
        if version.stage is wanted:
            return version
    raise NotFoundError(f"Registered Model '{name}' has no version in stage '{wanted}'.")
