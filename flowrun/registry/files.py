"""Where the files of a model are: from any of its URIs to the artifacts that hold them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol
from urllib.parse import unquote, urlsplit

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
from flowrun.registry.entities import ModelVersion
from flowrun.registry.missing import asking, version_by_alias
from flowrun.registry.store import RegistryStore
from flowrun.tracking.artifacts import Artifacts
from flowrun.tracking.local_artifacts import LocalArtifacts
from flowrun.tracking.store import TrackingStore


class ModelStores(Protocol):
    """The stores that know of models, and the artifacts that they name."""

    @property
    def tracking(self) -> TrackingStore:
        """Runs and logged models."""

    @property
    def registry(self) -> RegistryStore:
        """Registered models and their versions."""

    @property
    def open_artifacts(self) -> Callable[[str], Artifacts]:
        """Artifact URI to its files."""


def find_files(stores: ModelStores, uri: str) -> tuple[Artifacts, str]:
    """Give the artifacts that a model's URI names, and its path in them.

    Args:
        stores: where models are.
        uri: `models:/...`, `runs:/...`, an artifact URI, or the path of a folder.

    Raises:
        NotFoundError: there is no such run or model. InvalidValueError: the URI is malformed.
    """
    if not is_model_uri(uri):
        is_path = urlsplit(uri).scheme in ("", "file")
        folder = Path(unquote(urlsplit(uri).path) if uri.startswith("file:") else uri)
        return (LocalArtifacts(folder.resolve()) if is_path else stores.open_artifacts(uri)), ""
    match parse_model_uri(uri):
        case RunUri(run_id, path):
            return _of_run(stores, run_id, path)
        case LoggedModelUri(model_id):
            where = stores.tracking.get_logged_model(model_id).artifact_uri
        case registered:
            with asking(stores.registry, registered.name):
                where = _version(stores.registry, registered).download_uri
    return stores.open_artifacts(where), ""


@contextmanager
def local_folder(artifacts: Artifacts, path: str, uri: str) -> Iterator[Path]:
    """Give a folder of this machine with the files that `find_files` found.

    What lies on this machine is not copied; a copy goes away with the block. `uri` is for messages.

    Raises:
        NotFoundError: nothing is left of the model.
    """
    local = artifacts.local_path(path)
    if local is not None:
        yield _existing(local, uri)
        return
    with TemporaryDirectory(prefix="flowrun-model-") as temporary:
        folder = Path(temporary) / "model"
        artifacts.get(path, folder)
        yield _existing(folder, uri)


def _existing(folder: Path, uri: str) -> Path:
    if not folder.is_dir():
        raise NotFoundError(f"{uri} has no files (any more): {folder} is no folder")
    return folder


def _of_run(stores: ModelStores, run_id: str, path: str) -> tuple[Artifacts, str]:
    """Find an artifact of a run, or a model that it logged under that name."""
    run = stores.tracking.get_run(run_id)
    artifacts = stores.open_artifacts(run.info.artifact_uri)
    if not artifacts.exists(path):
        for output in run.model_outputs:
            model = stores.tracking.get_logged_model(output.model_id)
            if model.name == path:
                return stores.open_artifacts(model.artifact_uri), ""
    return artifacts, path


def _version(registry: RegistryStore, uri: VersionUri | StageUri | AliasUri) -> ModelVersion:
    match uri:
        case AliasUri(name, alias):
            return version_by_alias(registry, name, alias)
        case VersionUri(name, number):
            return registry.get_model_version(name, number)
        case StageUri(name, stage):
            latest = registry.get_latest_versions(name, [stage])
            if not latest:
                raise NotFoundError(f"model '{name}' has no version in stage {stage}")
            return latest[0]
