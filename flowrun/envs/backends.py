"""Name of an environment manager to the class behind it, imported on use."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from importlib.metadata import entry_points

from flowrun.envs.recipe import EnvBackend, Surroundings
from flowrun.errors import UsageError

GROUP = "flowrun.envs"
"""Entry points of this group name more of them; each is called with `Surroundings`."""

_BUILTIN = {"virtualenv": "flowrun.envs.virtualenv:VirtualenvBackend"}


def load(name: str) -> Callable[[Surroundings], EnvBackend]:
    """Return what makes the backend `name`.

    Raises:
        UsageError: there is none of this name.
    """
    target = _BUILTIN.get(name)
    if target is None:
        return _from_entry_point(name)
    module, _, attribute = target.partition(":")
    made: Callable[[Surroundings], EnvBackend] = getattr(importlib.import_module(module), attribute)
    return made


def _from_entry_point(name: str) -> Callable[[Surroundings], EnvBackend]:
    for entry_point in entry_points(group=GROUP, name=name):
        loaded: Callable[[Surroundings], EnvBackend] = entry_point.load()
        return loaded
    raise UsageError(
        f"There is no environment manager '{name}'.", "Choose local, virtualenv or uv."
    )
