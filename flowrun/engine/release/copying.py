"""Copies a model version into another registry, with its files, compared by their digest."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from flowrun.engine.cache.digest import digest_of
from flowrun.engine.release.registering import SHA256_TAG
from flowrun.errors import AlreadyExistsError, FlowrunError, NotFoundError, StoreError
from flowrun.registry.approval import RULE_PREFIX
from flowrun.registry.entities import ModelVersion
from flowrun.registry.noted import note_version
from flowrun.stores import Stores
from flowrun.tracking.entities import ModelStatus
from flowrun.valueclass import valueclass

COPIED_FROM_TAG = "flowrun.copied_from"
"""On a version: the one that it is a copy of, and where that is."""
_EXPERIMENT_ID = "0"
"""Where a copied model's files lie: in the default experiment, which every store has."""


@valueclass
class Copying:
    """What is copied, and to whom it belongs."""

    version: ModelVersion
    name: str
    """Of the registered model that gets a version."""
    user: str
    takes_tags: bool = True
    takes_aliases: bool = False


def copy_within(stores: Stores, copying: Copying) -> ModelVersion:
    """Make a version of the same files in the same registry, as MLflow's client does."""
    version = copying.version
    _make_model(stores, stores, copying)
    made = stores.registry.create_model_version(
        copying.name,
        f"models:/{version.name}/{version.version}",
        run_id=version.run_id,
        description=version.description,
        tags=_tags(copying, f"models:/{version.name}/{version.version}", None),
        user_id=copying.user,
    )
    return _named(stores, made, copying)


def copy_between(source: Stores, target: Stores, copying: Copying, work: Path) -> ModelVersion:
    """Make a version in another registry, with a copy of its files.

    Args:
        source: where the version is.
        target: where it is to be.
        copying: what is copied.
        work: an empty folder, to copy by.

    Raises:
        NotFoundError: its files are gone.
        StoreError: they are not what was registered, or did not arrive as they are.
    """
    version = copying.version
    files, arrived = work / "files", work / "arrived"
    where = f"models:/{version.name}/{version.version}"
    source.open_artifacts(version.download_uri).get("", files)
    if not files.is_dir() or not any(files.iterdir()):
        raise NotFoundError(f"{where} can't be copied: no files are left at {version.download_uri}")
    sha256 = digest_of(files).sha256
    recorded = version.tags.get(SHA256_TAG)
    if recorded is not None and recorded != sha256:
        raise StoreError(
            f"{where} is not copied: its files at {version.download_uri} have changed since it was "
            f"registered (sha256 {sha256[:12]}, recorded {recorded[:12]})"
        )
    _make_model(source, target, copying)
    model = target.tracking.create_logged_model(_EXPERIMENT_ID, name=copying.name)
    try:
        artifacts = target.open_artifacts(model.artifact_uri)
        artifacts.put_directory(files, "")
        artifacts.get("", arrived)
        if digest_of(arrived).sha256 != sha256:
            raise StoreError(f"the files of {where} did not arrive as they are: copy it again")
    except (FlowrunError, OSError):
        with suppress(FlowrunError):
            target.tracking.finalize_logged_model(model.model_id, ModelStatus.FAILED)
        raise
    target.tracking.finalize_logged_model(model.model_id, ModelStatus.READY)
    made = target.registry.create_model_version(
        copying.name,
        f"models:/{model.model_id}",
        model_id=model.model_id,
        description=version.description,
        tags=_tags(copying, f"{where} at {source.uri}", sha256),
        user_id=copying.user,
    )
    note_version(target.tracking, model.model_id, made)
    return _named(target, made, copying)


def _make_model(source: Stores, target: Stores, copying: Copying) -> None:
    """Make the registered model, described like the one that is copied, if there is none."""
    model = source.registry.get_registered_model(copying.version.name)
    tags = {key: text for key, text in model.tags.items() if not key.startswith(RULE_PREFIX)}
    with suppress(AlreadyExistsError):
        target.registry.create_registered_model(
            copying.name,
            description=model.description,
            tags=tags if copying.takes_tags else {},
        )


def _tags(copying: Copying, origin: str, sha256: str | None) -> dict[str, str]:
    """Give the version's tags; what is known of its lineage goes along in any case."""
    version = copying.version
    kept = {
        key: text
        for key, text in version.tags.items()
        if copying.takes_tags or key.startswith("flowrun.")
    }
    kept[COPIED_FROM_TAG] = origin
    if sha256 is not None:
        kept[SHA256_TAG] = sha256
        if version.run_id is not None:
            kept["flowrun.copied_run_id"] = version.run_id  # of the other store
    return kept


def _named(stores: Stores, made: ModelVersion, copying: Copying) -> ModelVersion:
    for alias in copying.version.aliases if copying.takes_aliases else ():
        reason = "copied"
        stores.registry.set_alias(
            made.name, alias, made.version, user_id=copying.user, reason=reason
        )
    return stores.registry.get_model_version(made.name, made.version)
