"""What MLflow keeps in tables and files, to flowrun's own nouns; what does not fit is refused."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress

from flowrun.errors import InvalidValueError
from flowrun.importing.source import FoundRegisteredModel
from flowrun.models.uri import LoggedModelUri, parse_model_uri
from flowrun.registry.entities import ModelVersion, RegisteredModel, VersionStatus, parse_stage
from flowrun.tracking import limits
from flowrun.tracking.entities import LifecycleStage, ModelStatus, RunStatus

_RUN_STATUS_NUMBERS = {
    1: RunStatus.RUNNING,
    2: RunStatus.SCHEDULED,
    3: RunStatus.FINISHED,
    4: RunStatus.FAILED,
    5: RunStatus.KILLED,
}
"""How MLflow's files keep a run's status. Source: MLflow service.proto, RunStatus."""

_MODEL_STATUSES = (
    ModelStatus.UNSPECIFIED,
    ModelStatus.PENDING,
    ModelStatus.READY,
    ModelStatus.FAILED,
)
"""By their numbers in tables and files. Source: MLflow service.proto, LoggedModelStatus."""

_DELETED_STAGE = "Deleted_Internal"
"""The stage of a version that was deleted: a row without content that keeps the number taken."""


def text(value: object) -> str:
    """Give a text; nothing is the empty one."""
    return "" if value is None else str(value)


def text_or_none(value: object) -> str | None:
    """Give a text, or None for nothing and for the empty one."""
    return str(value) if value not in (None, "") else None


def number(value: object) -> int:
    """Give a whole number of at most 64 bits; nothing is 0."""
    found: int | None = None
    with suppress(ValueError, OverflowError):
        if value is None or isinstance(value, int | str | float):
            found = int(value or 0)
    if found is None or abs(found) > limits.MAX_INTEGER:
        raise InvalidValueError(f"{value!r} is no whole number of 64 bits")
    return found


def decimal(value: object) -> float:
    """Give a number; nothing is nan, as MLflow's tables have it."""
    if value is None:
        return math.nan
    if isinstance(value, int | float):
        return float(value)
    raise InvalidValueError(f"{value!r} is no number")


def time_ms(value: object) -> int:
    """Give a time; nothing, as in very old stores, is 0."""
    return number(value)


def lifecycle_stage(value: object) -> LifecycleStage:
    """Give the stage of a name; nothing is active."""
    try:
        return LifecycleStage(text(value) or "active")
    except ValueError:
        raise InvalidValueError(f"{value!r} is no lifecycle stage") from None


def run_status(value: object) -> RunStatus:
    """Give a run's status from its name or number; nothing is RUNNING."""
    if value is None:
        return RunStatus.RUNNING
    try:
        return _RUN_STATUS_NUMBERS[value] if isinstance(value, int) else RunStatus(str(value))
    except (KeyError, ValueError):
        raise InvalidValueError(f"{value!r} is no status of a run") from None


def model_status(value: object) -> ModelStatus:
    """Give a logged model's status from its number."""
    try:
        return _MODEL_STATUSES[number(value)]
    except IndexError:
        raise InvalidValueError(f"{value!r} is no status of a logged model") from None


def version_of(
    name: str, fields: Mapping[str, object], tags: Mapping[str, str]
) -> ModelVersion | None:
    """Give a version of a registered model; None for one that was deleted.

    Args:
        name: the model's.
        fields: named as the columns of MLflow's table.
        tags: the version's own.
    """
    stage = text(fields.get("current_stage")) or "None"
    if stage == _DELETED_STAGE:
        return None
    source = text(fields.get("source"))
    try:
        status = VersionStatus(text(fields.get("status")) or "READY")
    except ValueError:
        raise InvalidValueError(f"{fields.get('status')!r} is no status of a version") from None
    created = time_ms(fields.get("creation_time"))
    return ModelVersion(
        name=name,
        version=str(number(fields["version"])),
        creation_time_ms=created,
        last_update_time_ms=time_ms(fields.get("last_updated_time")) or created,
        source=source,
        download_uri=text(fields.get("storage_location")) or source,
        stage=parse_stage(stage),
        status=status,
        description=text(fields.get("description")),
        run_id=text_or_none(fields.get("run_id")),
        run_link=text_or_none(fields.get("run_link")),
        model_id=text_or_none(fields.get("model_id")) or _model_id_of(source),
        user_id=text_or_none(fields.get("user_id")),
        tags=tags,
    )


def model_of(
    name: str,
    fields: Mapping[str, object],
    tags: Mapping[str, str],
    aliases: Mapping[str, str],
    versions: Sequence[ModelVersion],
    last_version: int,
) -> FoundRegisteredModel:
    """Give a registered model; aliases of versions that are gone are left out, as MLflow does."""
    numbers = {version.version for version in versions}
    created = time_ms(fields.get("creation_time"))
    model = RegisteredModel(
        name=name,
        creation_time_ms=created,
        last_update_time_ms=time_ms(fields.get("last_updated_time")) or created,
        description=text(fields.get("description")),
        tags=tags,
        aliases={alias: version for alias, version in aliases.items() if version in numbers},
    )
    return FoundRegisteredModel(model, tuple(versions), last_version)


def _model_id_of(source: str) -> str | None:
    """Give the logged model that a source such as `models:/m-...` names; MLflow keeps only that."""
    with suppress(InvalidValueError):
        uri = parse_model_uri(source)
        return uri.model_id if isinstance(uri, LoggedModelUri) else None
    return None
