"""Registered models, their versions, aliases and the history of their stages.

Times are milliseconds since the Unix epoch, UTC. A version's number is a decimal text, from "1".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from flowrun.errors import InvalidValueError
from flowrun.valueclass import valueclass


class Stage(StrEnum):
    """The stage of a model version, with MLflow's four names."""

    NONE = "None"
    STAGING = "Staging"
    PRODUCTION = "Production"
    ARCHIVED = "Archived"


def parse_stage(name: str) -> Stage:
    """Give the stage of a name in upper or lower case."""
    for stage in Stage:
        if stage.value.lower() == name.lower():
            return stage
    raise InvalidValueError(
        f"Invalid Model Version stage: {name}. Value must be one of {', '.join(Stage)}."
    )


class VersionStatus(StrEnum):
    """Whether a version can be used."""

    PENDING = "PENDING_REGISTRATION"
    FAILED = "FAILED_REGISTRATION"
    READY = "READY"


@valueclass
class ModelVersion:
    """One version of a registered model."""

    name: str
    version: str
    creation_time_ms: int
    last_update_time_ms: int
    source: str
    """The URI that was registered: `models:/m-...`, `runs:/...`, or an artifact URI."""
    download_uri: str
    """Where the files lie: an artifact URI."""
    stage: Stage = Stage.NONE
    status: VersionStatus = VersionStatus.READY
    description: str = ""
    run_id: str | None = None
    run_link: str | None = None
    model_id: str | None = None
    user_id: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()


@valueclass
class RegisteredModel:
    """A named line of versions."""

    name: str
    creation_time_ms: int
    last_update_time_ms: int
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Alias to version."""
    latest_versions: tuple[ModelVersion, ...] = ()
    """The newest version of each stage that has one."""


@valueclass
class Transition:
    """One line of a registered model's history; the history is only ever added to."""

    name: str
    version: str
    time_ms: int
    user_id: str
    kind: str
    """`stage` or `alias`."""
    before: str
    """The stage the version had; for an alias the version it pointed to, '' for none."""
    after: str
    """The stage it has now; for an alias the version it points to now, '' if it was removed."""
    alias: str = ""
    """The alias; '' where the stage changed."""
    reason: str = ""
    run_id: str | None = None
    """The run (of a `promote` step) that did it."""
    via: str = ""
    """How it came about: '' by a promotion, `approval` by one that was approved, `rollback`."""
