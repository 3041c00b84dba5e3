"""What is told to who asks a registry for something that is not there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flowrun.errors import InvalidValueError, NotFoundError
from flowrun.models.missing import NO_SUCH_MODEL, what_there_is
from flowrun.registry.entities import ModelVersion
from flowrun.registry.store import RegistryStore


@contextmanager
def asking(registry: RegistryStore, name: str) -> Iterator[None]:
    """Ask for something of a registered model; who asks in vain is told what there is.

    Raises:
        NotFoundError: as the store's, with a hint.
    """
    try:
        yield
    except NotFoundError as error:
        if error.hint is None:
            raise NotFoundError(error.message, _what_there_is(registry, name)) from error
        raise


def version_by_alias(registry: RegistryStore, name: str, alias: str) -> ModelVersion:
    """Give the version that an alias points to.

    Raises:
        NotFoundError: nobody has it; for stores, as in MLflow, that is a wrong value.
    """
    try:
        return registry.get_version_by_alias(name, alias)
    except InvalidValueError as error:
        raise NotFoundError(error.message) from error


def _what_there_is(registry: RegistryStore, name: str) -> str:
    try:
        model = registry.get_registered_model(name)
    except NotFoundError:
        return NO_SUCH_MODEL
    return what_there_is(name, [each.version for each in model.latest_versions], model.aliases)
