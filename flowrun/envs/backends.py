"""Name of an environment manager to the class behind it, imported on use."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from flowrun.envs.recipe import EnvBackend, Surroundings

MakeBackend = Callable[[Surroundings], EnvBackend]

_BUILTIN = {
    "conda": "flowrun.envs.conda.backend:CondaBackend",
    "virtualenv": "flowrun.envs.virtualenv:VirtualenvBackend",
}


def load(name: str) -> MakeBackend:
    """Return what makes the backend `name`: one of ours, or one that is installed beside us.

    Raises:
        UsageError: there is none of this name.
    """
    target = _BUILTIN.get(name)
    if target is None:
        # Not imported above: to look through what is installed costs half a warm start.
        find: Callable[[str], MakeBackend] = import_module("flowrun.envs.plugins").find
        return find(name)
    module, _, attribute = target.partition(":")
    made: MakeBackend = getattr(import_module(module), attribute)
    return made
