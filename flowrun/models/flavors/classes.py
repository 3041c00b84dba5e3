"""Classes of a library, named in an MLmodel file: found in that library and nowhere else."""

from __future__ import annotations

import importlib

from flowrun.errors import InvalidValueError, UnsupportedError


def full_name(model: object) -> str:
    """Give module and name of an object's class."""
    kind = type(model)
    return f"{kind.__module__}.{kind.__name__}"


def class_of(name: str, package: str) -> type:
    """Give a class of a library by its full name.

    Raises:
        InvalidValueError: it is of another library, or none.
    """
    module, _, attribute = name.rpartition(".")
    if module.partition(".")[0] != package:
        raise InvalidValueError(f"the model says that it is a '{name}', which is none of {package}")
    try:
        kind = getattr(importlib.import_module(module), attribute)
    except (ModuleNotFoundError, AttributeError):
        raise UnsupportedError(f"the {package} that is installed has no '{name}'") from None
    if not isinstance(kind, type):
        raise InvalidValueError(f"the model says that it is a '{name}', which is no class")
    return kind
