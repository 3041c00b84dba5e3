"""Checks where the files of a new model version are said to lie, and whose they are.

A version's source is opened later by whoever loads the model, so it must be what it says: files of
the run or logged model that the request names, another version, or a plain remote URI.
Source: MLflow REST API, "Create ModelVersion"; MLflow's advisories on model sources.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import assert_never
from urllib.parse import urlsplit

from flowrun.errors import InvalidValueError, NotFoundError
from flowrun.models.uri import (
    AliasUri,
    LoggedModelUri,
    RunUri,
    StageUri,
    VersionUri,
    is_model_uri,
    parse_model_uri,
)
from flowrun.registry.entities import ModelVersion
from flowrun.registry.store import RegistryStore
from flowrun.server.messages import Stores
from flowrun.server.places import check_location, decoded, is_local, is_within
from flowrun.tracking.artifacts import PROXIED


def check_source(stores: Stores, source: str, *, run_id: str | None, model_id: str | None) -> None:
    """Refuse a source that can't belong to the run and the logged model of the request.

    Raises:
        InvalidValueError: it belongs to something else, or is no place at all.
        NotFoundError: it is a version, and there is none like it.
    """
    check_location(source)
    if is_model_uri(source):
        is_good = _is_named_alike(stores.registry, source, run_id, model_id)
    elif is_local(source) or urlsplit(source).scheme == PROXIED:
        is_good = any(_is_inside(source, root) for root in _roots(stores, run_id, model_id))
    else:
        is_good = True
    if not is_good:
        raise InvalidValueError(
            f"Invalid model version source: '{source}'. The run_id or model_id of the request "
            "must identify the resource that contains the source."
        )


def _is_named_alike(
    registry: RegistryStore, source: str, run_id: str | None, model_id: str | None
) -> bool:
    """True if what is given agrees with what the URI names."""
    match parse_model_uri(source):
        case RunUri(named_run):
            return model_id is None and run_id in {None, named_run}
        case LoggedModelUri(named_model):
            return model_id in {None, named_model}
        case VersionUri() | AliasUri() | StageUri() as uri:
            version = _find_version(registry, uri)
            return run_id in {None, version.run_id} and model_id in {None, version.model_id}
        case unknown:
            assert_never(unknown)


def _find_version(registry: RegistryStore, uri: VersionUri | AliasUri | StageUri) -> ModelVersion:
    match uri:
        case VersionUri(name, version):
            return registry.get_model_version(name, version)
        case AliasUri(name, alias):
            return registry.get_version_by_alias(name, alias)
        case StageUri(name, stage):
            versions = registry.get_latest_versions(name, [stage])
            if not versions:
                raise NotFoundError(f"Registered Model '{name}' has no version in stage '{stage}'.")
            return versions[0]
        case unknown:
            assert_never(unknown)


def _roots(stores: Stores, run_id: str | None, model_id: str | None) -> Iterator[str]:
    """Give the artifact URIs of what the request names, as far as it exists."""
    try:
        if model_id is not None:
            yield stores.tracking.get_logged_model(model_id).artifact_uri
        if run_id is not None:
            yield stores.tracking.get_run(run_id).info.artifact_uri
    except NotFoundError:
        return


def _is_inside(source: str, root: str) -> bool:
    if is_local(source) and is_local(root):
        return _resolved(source).is_relative_to(_resolved(root))
    return is_within(source, root)


def _resolved(uri: str) -> Path:
    """Give the place that a path or `file:` URI really leads to, through symbolic links."""
    return Path(decoded(urlsplit(uri).path)).resolve()
