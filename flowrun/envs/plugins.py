"""Environment managers of other distributions: entry points of the group `flowrun.envs`."""

from __future__ import annotations

from importlib.metadata import entry_points

from flowrun.envs.backends import MakeBackend
from flowrun.errors import UsageError

GROUP = "flowrun.envs"
"""Each entry point is called with `Surroundings` and gives an `EnvBackend`."""


def find(name: str) -> MakeBackend:
    """Return what makes the backend `name`.

    Raises:
        UsageError: no installed distribution has one.
    """
    for entry_point in entry_points(group=GROUP, name=name):
        found: MakeBackend = entry_point.load()
        return found
    raise UsageError(
        f"There is no environment manager '{name}'.", "Choose local, virtualenv, uv or conda."
    )
