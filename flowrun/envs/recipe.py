"""What a backend promises: from a request to a recipe, from a recipe to a lock and a folder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from flowrun.envs.base import Ask, EnvRequest, PrefixEnv, Progress, never
from flowrun.envs.workshop import Workshop
from flowrun.errors import EnvError
from flowrun.valueclass import valueclass


@valueclass
class Surroundings:
    """What a backend may know of the machine and the caller."""

    variables: Mapping[str, str]
    """The caller's environment variables."""
    caller_python: Path
    memos: Path
    """A private folder for what it wants to remember."""
    is_cancelled: Callable[[], bool] = never
    """Whether programs that run should be ended."""


class Recipe(Protocol):
    """One environment, read and checked, ready to be locked and built.

    The three properties are known without network.
    """

    @property
    def label(self) -> str:
        """The file that describes it, as people know it (`python_env.yaml`)."""

    @property
    def digest(self) -> str:
        """sha256 hex of all that decides the lock: same digest, same lock may be used again."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know (`conda packages are not installed: ...`)."""

    def lock(self, shop: Workshop) -> str:
        """Resolve to exact packages; may begin meanwhile to make what needs no lock.

        Returns:
            a text with no credentials in it; its sha256 is the environment's key.

        Raises:
            EnvError: no such package or version, a conflict, no network.
        """

    def build(self, lock: str, shop: Workshop) -> None:
        """Make the environment of `lock` at the workshop's prefix, from where it never moves.

        Raises:
            EnvError: the build failed; what is left there is the caller's to remove.
        """


class GivenRecipe:
    """A recipe whose lock is given: nothing is resolved."""

    def __init__(self, recipe: Recipe, lock: str) -> None:
        self._recipe = recipe
        self._lock = lock
        self.label = recipe.label
        self.notes = recipe.notes
        self.digest = hashlib.sha256(f"given/1\n{lock}".encode()).hexdigest()

    def lock(self, shop: Workshop) -> str:
        """Return what was given."""
        del shop
        return self._lock

    def build(self, lock: str, shop: Workshop) -> None:
        """Make the environment of the lock.

        Raises:
            EnvError: it can't be had any more; the message names the package.
        """
        try:
            self._recipe.build(lock, shop)
        except EnvError as error:
            hint = "The lock asks for exactly this; resolve anew to get something else."
            raise EnvError(error.message, f"{hint} {error.hint or ''}".rstrip()) from error


class EnvBackend(Protocol):
    """One way of making environments. The store owns folders, locks and records."""

    def check(self, request: EnvRequest) -> None:
        """Find every mistake that can be found without network and without building.

        Raises:
            SpecError: a file of the project has mistakes. EnvError: this machine lacks something.
        """

    def asks(self, request: EnvRequest) -> tuple[Ask, ...]:
        """Return all that the project's files ask for, in any order; no network, no program.

        Raises:
            SpecError: they have mistakes.
        """

    def recipe(self, request: EnvRequest, progress: Progress) -> Recipe:
        """Read the request; may fetch an interpreter that is not there yet.

        A lock in the request is checked here; the recipe is then only asked to `build` it.

        Raises:
            SpecError, EnvError: as `check`.
        """

    def env(self, key: str, lock: str, prefix: Path) -> PrefixEnv:
        """Describe the environment built at `prefix`, for use by a step."""

    def unhealthy(self, env: PrefixEnv) -> str | None:
        """Say why a built environment can't be used any more, or None; a few `stat`s."""
