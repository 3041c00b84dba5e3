"""From a recipe to a locked, built, published environment: one builder at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path

from flowrun.envs import workshop
from flowrun.envs.base import PrefixEnv, Progress
from flowrun.envs.exclusive import exclusive
from flowrun.envs.find_uv import load_sysconfig
from flowrun.envs.folders import remove, seal
from flowrun.envs.layout import LOCKS, LOGS, RESOLVED, SCRATCH
from flowrun.envs.published import Published, key_of, write_whole
from flowrun.envs.recipe import EnvBackend, Recipe
from flowrun.errors import EnvError


class Builder:
    """Makes the environments of one store. Safe for any number of threads and processes."""

    def __init__(self, root: Path, published: Published) -> None:
        """Make it.

        Args:
            root: the store's folder.
            published: its environments.
        """
        self._root = root
        self._published = published

    def found(self, backend: EnvBackend, recipe: Recipe) -> PrefixEnv | None:
        """Return the environment of what was resolved earlier, if it is there."""
        lock = self.remembered_lock(recipe)
        return self._published.find(lock, backend) if lock else None

    def remembered_lock(self, recipe: Recipe) -> str | None:
        """Give the lock that was resolved for a recipe before; None if none was."""
        try:
            return self._resolved_file(recipe).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def make(
        self,
        backend: EnvBackend,
        recipe: Recipe,
        progress: Progress,
        is_cancelled: Callable[[], bool],
    ) -> PrefixEnv:
        """Give the environment of a recipe, once no other builder is at it; see `EnvStore.ensure`.

        Raises:
            EnvError: the build failed. CancelledError: `is_cancelled` said yes.
        """
        waiting = f"waiting for another flowrun that is building the environment of {recipe.label}"
        with self._lock_of(recipe, partial(progress, waiting), is_cancelled):
            if found := self.found(backend, recipe):
                return found
            with self._workshop(recipe, progress, is_cancelled) as (shop, cleared):
                env = self._build_remembered(backend, recipe, shop)
                if env.prefix == shop.prefix:
                    cleared.pop_all()
                return env

    def resolve(self, recipe: Recipe, progress: Progress, is_cancelled: Callable[[], bool]) -> str:
        """Give the lock of a recipe, resolved now; builds nothing, remembers nothing.

        Raises:
            EnvError: nothing fits. CancelledError: `is_cancelled` said yes.
        """
        waiting = f"waiting for another flowrun that resolves {recipe.label}"
        with (
            self._lock_of(recipe, partial(progress, waiting), is_cancelled),
            self._workshop(recipe, progress, is_cancelled) as (shop, _),
        ):
            return recipe.lock(shop)

    @contextmanager
    def _workshop(
        self, recipe: Recipe, progress: Progress, is_cancelled: Callable[[], bool]
    ) -> Iterator[tuple[workshop.Workshop, ExitStack]]:
        """Give a workshop, and what clears its prefix away in the end."""
        load_sysconfig()  # a build asks it in several threads
        log = self._root / LOGS / f"{recipe.digest[:12]}.log"
        prefix = self._published.new_prefix(recipe.digest)
        with ExitStack() as cleared:
            cleared.callback(remove, prefix)
            with workshop.opened(self._root / SCRATCH, prefix, log, progress, is_cancelled) as shop:
                yield shop, cleared

    def _lock_of(
        self, recipe: Recipe, on_wait: Callable[[], None], is_cancelled: Callable[[], bool]
    ) -> AbstractContextManager[None]:
        return exclusive(self._lock_file(recipe.digest), on_wait, is_cancelled)

    def _build_remembered(
        self, backend: EnvBackend, recipe: Recipe, shop: workshop.Workshop
    ) -> PrefixEnv:
        """Build what was resolved earlier; if nothing was, or it fails, what is resolved now."""
        remembered = self.remembered_lock(recipe)
        if remembered is not None:
            try:
                return self._build(backend, recipe, remembered, shop)
            except EnvError:
                # What was resolved earlier may be gone from the index by now.
                remove(shop.prefix)
                renewed = self._resolve(recipe, shop)
                if renewed == remembered:
                    raise
        else:
            renewed = self._resolve(recipe, shop)
        return self._build(backend, recipe, renewed, shop)

    def _resolve(self, recipe: Recipe, shop: workshop.Workshop) -> str:
        lock = recipe.lock(shop)
        write_whole(self._resolved_file(recipe), lock)
        return lock

    def _build(
        self, backend: EnvBackend, recipe: Recipe, lock: str, shop: workshop.Workshop
    ) -> PrefixEnv:
        key = key_of(lock)
        waiting = f"waiting for another flowrun that is building environment {key[:8]}"
        on_wait = partial(shop.progress, waiting)
        with exclusive(self._lock_file(key), on_wait, shop.is_cancelled):
            if found := self._published.find(lock, backend):
                return found
            shop.progress(f"building environment {key[:8]} ({recipe.label})")
            recipe.build(lock, shop)
            seal(shop.prefix)
            self._published.publish(key, shop.prefix)
            return backend.env(key, lock, shop.prefix)

    def _resolved_file(self, recipe: Recipe) -> Path:
        return self._root / RESOLVED / recipe.digest

    def _lock_file(self, name: str) -> Path:
        return self._root / LOCKS / name
