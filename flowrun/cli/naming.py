"""How commands name a model version: `wine/3`, `wine@champion`."""

from __future__ import annotations

from flowrun.errors import UsageError
from flowrun.registry.entities import ModelVersion
from flowrun.registry.missing import asking, version_by_alias
from flowrun.registry.store import RegistryStore

MODELS = "models:/"


def named_version(registry: RegistryStore, text: str) -> ModelVersion | None:
    """Give the version that a text names; None if it names a model, or nothing."""
    text = text.removeprefix(MODELS)
    name, at, alias = text.rpartition("@")
    if at and name:
        with asking(registry, name):
            return version_by_alias(registry, name, alias)
    name, slash, number = text.rpartition("/")
    if slash and number.isdigit():
        with asking(registry, name):
            return registry.get_model_version(name, number)
    return None


def the_version(registry: RegistryStore, text: str) -> ModelVersion:
    """Give the version that a text names.

    Raises:
        UsageError: it names none.
    """
    version = named_version(registry, text)
    if version is None:
        raise UsageError(f"'{text}' names no version of a model; write NAME/3 or NAME@alias")
    return version
