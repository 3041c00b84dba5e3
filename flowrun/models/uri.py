"""URIs that name a model: `models:/...` and `runs:/...`.

Source: MLflow 3.17, mlflow/store/artifact/utils/models.py and runs_artifact_repo.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Union
from urllib.parse import unquote

from flowrun.errors import InvalidValueError

_LOGGED_MODEL_ID = re.compile(r"m-[0-9a-f]{32}")
_RUN_ID = re.compile(r"[a-zA-Z0-9][\w\-]{0,255}")
_FORMS = (
    "models:/NAME/VERSION, models:/NAME/STAGE, models:/NAME@ALIAS, models:/m-ID "
    "or runs:/RUN_ID/PATH"
)


@dataclass(frozen=True)
class VersionUri:
    """`models:/name/3`: a version of a registered model."""

    name: str
    version: str


@dataclass(frozen=True)
class StageUri:
    """`models:/name/Production`: the newest version in a stage."""

    name: str
    stage: str


@dataclass(frozen=True)
class AliasUri:
    """`models:/name@champion`, and `models:/name/latest`: `latest` is the newest version of all."""

    name: str
    alias: str


@dataclass(frozen=True)
class LoggedModelUri:
    """`models:/m-...`: a logged model, by its id."""

    model_id: str


@dataclass(frozen=True)
class RunUri:
    """`runs:/id/path`: what lies in a run's artifacts, or a logged model of that name."""

    run_id: str
    path: str


ModelUri = Union[VersionUri, StageUri, AliasUri, LoggedModelUri, RunUri]


def is_model_uri(uri: str) -> bool:
    """Tell whether a text has one of the schemes that `parse_model_uri` knows."""
    return uri.startswith(("models:", "runs:"))


def parse_model_uri(uri: str) -> ModelUri:
    """Give what a model URI names; whether that exists is for a store to say.

    Raises:
        InvalidValueError: it has none of the forms, or it names a path that climbs.
    """
    scheme, _, rest = uri.partition(":")
    # `models://registry/name/1` names another registry, which has no place here.
    if rest.startswith("//") or not rest.startswith("/"):
        raise _malformed(uri)
    if scheme == "runs":
        return _parse_run(uri, rest.strip("/"))
    if scheme == "models":
        return _parse_models(uri, rest.strip("/"))
    raise _malformed(uri)


def _parse_run(uri: str, rest: str) -> RunUri:
    run_id, _, path = rest.partition("/")
    climbs = {"", ".", ".."} & set(unquote(path).replace("\\", "/").split("/"))
    if not _RUN_ID.fullmatch(run_id) or climbs:
        raise _malformed(uri)
    return RunUri(run_id, path)


def _parse_models(uri: str, rest: str) -> ModelUri:
    name, slash, which = rest.partition("/")
    if not slash:
        if _LOGGED_MODEL_ID.fullmatch(rest):
            return LoggedModelUri(rest)
        name, _, alias = rest.rpartition("@")
        if name and alias:
            return AliasUri(unquote(name), alias)
    elif name and which and "/" not in which:
        name = unquote(name)
        if which.lower() == "latest":
            return AliasUri(name, "latest")
        return VersionUri(name, which) if which.isdecimal() else StageUri(name, which)
    raise _malformed(uri)


def _malformed(uri: str) -> InvalidValueError:
    return InvalidValueError(f"'{uri}' names no model", f"A model's URI is {_FORMS}.")
