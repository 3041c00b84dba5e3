"""The libraries that do the arithmetic: they belong to the environment that evaluates."""

from __future__ import annotations

import importlib
from types import ModuleType

from flowrun.errors import UnsupportedError


def needed(module: str, package: str | None = None) -> ModuleType:
    """Import a library.

    Args:
        module: its name.
        package: what is installed for it, if that is called otherwise.

    Raises:
        UnsupportedError: it is missing; says how to get it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        top = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != top:
            raise
        name = package or top
        raise UnsupportedError(
            f"this evaluation needs {name}, which is not installed here",
            f"Add it to the step's environment, or install it with: pip install {name}",
        ) from None
