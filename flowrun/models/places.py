"""Where the files of a model are: from any of its URIs to a folder of this machine."""

from __future__ import annotations

import atexit
import importlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from flowrun.errors import InvalidValueError, NotFoundError, UnsupportedError
from flowrun.models.missing import NO_SUCH_MODEL, what_there_is
from flowrun.models.mlmodel import MLMODEL
from flowrun.models.uri import (
    AliasUri,
    LoggedModelUri,
    ModelUri,
    RunUri,
    StageUri,
    VersionUri,
    is_model_uri,
    parse_model_uri,
)
from flowrun.tracking import fluent
from flowrun.tracking.light_artifacts import ArtifactFolder
from flowrun.tracking.light_http import Http, TrackingError

_MAX_HOPS = 5
"""A version's source may be a version again; this many are followed."""
_MISSING = "RESOURCE_DOES_NOT_EXIST"
_WRONG_VALUE = "INVALID_PARAMETER_VALUE"
_PROXIED = "mlflow-artifacts"


@dataclass(frozen=True)
class Place:
    """Where the files of a model are."""

    uri: str
    """An artifact URI, or a path."""
    run_id: str | None = None
    model_id: str | None = None


def local_copy(model_uri: str, dst_path: str | os.PathLike[str] | None = None) -> Path:
    """Give a folder of this machine with a model's files.

    Args:
        model_uri: `models:/...`, `runs:/...`, an artifact URI, or a path. What lies on this machine
            is used where it is, unless a destination is given.
        dst_path: where a copy is made; else it goes away with this process.

    Raises:
        NotFoundError: there is no such model. UnsupportedError: it lies where this can't read.
        TrackingError: the server can't be asked.
    """
    folder = local_copy_of_folder(model_uri, dst_path)
    if not (folder / MLMODEL).is_file():
        raise NotFoundError(
            f"{model_uri} is no model: no MLmodel file is there",
            "A model is what log_model or save_model of a flavor wrote.",
        )
    return folder


def local_copy_of_folder(
    uri: str | os.PathLike[str], dst_path: str | os.PathLike[str] | None = None
) -> Path:
    """Give a folder of this machine with what lies at any URI, not only models; see above."""
    text = os.fspath(uri)
    if is_model_uri(text):
        text = find_place(fluent.current_session().http(), text).uri
    folder = _local_path(text)
    if folder is None:
        return _downloaded(text, _new_folder(dst_path))
    if dst_path is not None:
        return Path(shutil.copytree(folder, _new_folder(dst_path), dirs_exist_ok=True))
    return folder


def find_place(http: Http, uri: str) -> Place:
    """Give where a model is, by asking the server what its URI stands for.

    Raises:
        NotFoundError: there is no such model. InvalidValueError: the URI is malformed, or leads
            in a circle.
    """
    run_id: str | None = None
    for _ in range(_MAX_HOPS):
        if not is_model_uri(uri):
            return Place(uri, run_id)
        parsed = parse_model_uri(uri)
        try:
            place = _resolved(http, parsed)
        except TrackingError as error:
            # MLflow's word for an alias that nobody has is that the request is wrong.
            of_alias = isinstance(parsed, AliasUri) and error.error_code == _WRONG_VALUE
            if error.error_code != _MISSING and not of_alias:
                raise
            raise NotFoundError(f"{uri}: {error}", _what_there_is(http, parsed)) from error
        if not is_model_uri(place.uri):
            return place
        uri, run_id = place.uri, place.run_id
    raise InvalidValueError(f"{uri} leads from one model to the next without end")


def _what_there_is(http: Http, uri: ModelUri) -> str | None:
    if isinstance(uri, LoggedModelUri):
        return None
    if isinstance(uri, RunUri):
        return "`flowrun runs list` shows the runs that there are."
    try:
        model = http.call("GET", "registered-models/get", query={"name": uri.name})
    except TrackingError as error:
        return NO_SUCH_MODEL if error.error_code == _MISSING else None
    found = model["registered_model"]
    newest = [str(version["version"]) for version in found.get("latest_versions", [])]
    aliases = {str(each["alias"]): str(each["version"]) for each in found.get("aliases", [])}
    return what_there_is(uri.name, newest, aliases)


def _resolved(http: Http, uri: ModelUri) -> Place:
    if isinstance(uri, LoggedModelUri):
        return _of_logged(http.call("GET", f"logged-models/{uri.model_id}")["model"])
    if isinstance(uri, RunUri):
        return _of_run(http, uri)
    version = _version(http, uri)
    return Place(str(version["source"]), version.get("run_id"), version.get("model_id"))


def _of_logged(model: Mapping[str, Any]) -> Place:
    info = model["info"]
    return Place(str(info["artifact_uri"]), info.get("source_run_id"), str(info["model_id"]))


def _of_run(http: Http, uri: RunUri) -> Place:
    """Give a logged model of the run by its name, as MLflow 3 has it, else the run's artifacts."""
    info = http.call("GET", "runs/get", query={"run_id": uri.run_id})["run"]["info"]
    name = uri.path.replace("'", "")
    search = {
        "experiment_ids": [info["experiment_id"]],
        "filter": f"name = '{name}' AND source_run_id = '{uri.run_id}'",
        "order_by": [{"field_name": "creation_timestamp", "ascending": False}],
        "max_results": 1,
    }
    try:
        found = http.call("POST", "logged-models/search", search).get("models", [])
    except TrackingError as error:
        if error.error_code not in ("ENDPOINT_NOT_FOUND", ""):  # a server of MLflow 2
            raise
        found = []
    if found:
        return _of_logged(found[0])
    return Place(f"{str(info['artifact_uri']).rstrip('/')}/{uri.path}", uri.run_id)


def _version(http: Http, uri: VersionUri | StageUri | AliasUri) -> Mapping[str, Any]:
    path, query = "", {"name": uri.name}
    if isinstance(uri, VersionUri):
        path, query["version"] = "model-versions/get", uri.version
    elif isinstance(uri, AliasUri) and uri.alias != "latest":
        path, query["alias"] = "registered-models/alias", uri.alias
    if path:
        version: dict[str, Any] = http.call("GET", path, query=query)["model_version"]
        return version
    stages = [uri.stage] if isinstance(uri, StageUri) else []
    body = {"name": uri.name, "stages": stages}
    answer = http.call("POST", "registered-models/get-latest-versions", body)
    versions: list[dict[str, Any]] = answer.get("model_versions", [])
    if not versions:
        where = f" in stage '{stages[0]}'" if stages else ""
        raise TrackingError(f"Registered Model '{uri.name}' has no version{where}.", _MISSING)
    return max(versions, key=lambda item: int(item["version"]))


def _local_path(uri: str) -> Path | None:
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return None if "://" in uri or parts.scheme == _PROXIED else Path(uri)


def _new_folder(dst_path: str | os.PathLike[str] | None) -> Path:
    if dst_path is not None:
        folder = Path(dst_path)
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    temporary = tempfile.mkdtemp(prefix="flowrun-model-")
    atexit.register(shutil.rmtree, temporary, ignore_errors=True)
    return Path(temporary)


def _downloaded(uri: str, into: Path) -> Path:
    if urlsplit(uri).scheme == _PROXIED:
        http = fluent.current_session().http()
        return Path(ArtifactFolder(http, uri).get_folder("", str(into)))
    try:
        # By name: a step's environment has only the light client, which speaks to servers.
        artifacts = importlib.import_module("flowrun.tracking.artifacts")
        variables = importlib.import_module("flowrun.settings").load_settings().variables
        opened = artifacts.open_artifacts(uri, destination="/", variables=variables)
    except ModuleNotFoundError:
        raise UnsupportedError(
            f"the model's files are at {uri}, where flowrun's light client can't read",
            "Install flowrun itself, or keep artifacts behind the server (mlflow-artifacts:/).",
        ) from None
    target = into / "model"
    opened.get("", target)
    return target
