"""What a flavor is: a way to keep models of one library in a folder, and to load them again."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Protocol

from flowrun.errors import InvalidValueError, PermissionDeniedError, UnsupportedError
from flowrun.models.requirements import installed_version
from flowrun.models.signature import ModelSignature
from flowrun.tracking.light_session import is_pickle_allowed

Settings = Mapping[str, object]
"""A flavor's section of the MLmodel file."""
Predict = Callable[[object, "Mapping[str, object] | None"], object]
"""Gives what a model makes of data, with parameters if it takes any."""

NOTHING: Mapping[str, object] = MappingProxyType({})


@dataclass(frozen=True)
class Written:
    """What a flavor wrote into a model's folder."""

    flavor: str
    settings: Settings
    """The flavor's section of the MLmodel file."""
    pyfunc: Settings | None
    """What the section `python_function` says: `loader_module` and what that needs. None: the
    model can't predict."""
    modules: frozenset[str]
    """What the model needs to be loaded."""


@dataclass(frozen=True)
class Content:
    """A model that is to be saved."""

    flavor: str
    write: Callable[[Path], Written]
    """Writes it into a folder."""
    predict: Predict | None = None
    """Predicts as the saved model will, for the signature that follows from an example."""
    params: Mapping[str, object] = field(default_factory=dict)
    """What of its configuration is recorded as params of the run."""
    signature: ModelSignature | None = None
    """What it takes and gives, if neither the user nor an example tells."""


class Flavor(Protocol):
    """Loads models of one library. Third parties give theirs by the entry point flowrun.flavors."""

    name: str
    """Of its section in MLmodel files."""
    loader_modules: frozenset[str]
    """What `loader_module` of `python_function` is called in models of this flavor."""

    def load(self, folder: Path, settings: Settings) -> object:
        """Give the model in a folder as an object of its library.

        Raises:
            UnsupportedError: its library is missing. PermissionDeniedError: it is a pickle, and
                these are forbidden. InvalidValueError: it is damaged.
        """

    def predictor(self, model: object, pyfunc: Settings) -> Predict:
        """Give how a loaded model predicts; `pyfunc` is the section `python_function`."""


def library(module: str, package: str | None = None, version: object = None) -> ModuleType:
    """Import a library that a model needs.

    Args:
        module: its name.
        package: what is installed for it, if that is called otherwise.
        version: of the package when the model was saved, if that is known.

    Raises:
        UnsupportedError: it is missing; says how to get it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != module.partition(".")[0]:
            raise
        wanted = f"{package or module}=={version}" if version else package or module
        raise UnsupportedError(
            f"this model needs {package or module}, which is not installed here",
            f"Install it with: pip install '{wanted}'",
        ) from None


def refuse_pickle(what: str, instead: str) -> None:
    """Raise if loading may not run a model's own code.

    Args:
        what: of the model would run it.
        instead: what can be done.

    Raises:
        PermissionDeniedError: it may not.
    """
    if not is_pickle_allowed():
        raise PermissionDeniedError(
            f"{what} can run any code when it is loaded, which FLOWRUN_ALLOW_PICKLE forbids",
            instead,
        )


def damaged(path: Path, error: Exception, package: str, saved_with: object) -> InvalidValueError:
    """Make the error for a file that a library can't read; another version may be why."""
    here = installed_version(package)
    hint = None
    if saved_with and here and str(saved_with) != here:
        hint = (
            f"It was saved with {package} {saved_with}, and here is {here}: "
            f"pip install '{package}=={saved_with}'"
        )
    reason = f"{type(error).__name__}: {error}".strip()
    return InvalidValueError(f"{path} can't be loaded: {reason:.300}", hint)
