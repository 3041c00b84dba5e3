"""The environment store: a request to a locked, built environment, shared by all runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from flowrun.envs import backends
from flowrun.envs.base import Ask, Env, EnvLock, EnvRequest, ImageEnv, PrefixEnv, Progress, never
from flowrun.envs.building import Builder
from flowrun.envs.folders import make_private
from flowrun.envs.image_asks import image_asks
from flowrun.envs.layout import ENVS, MEMOS, USAGE
from flowrun.envs.manager import DOCKER, LOCAL, choose_manager
from flowrun.envs.published import Published
from flowrun.envs.recipe import GivenRecipe, Surroundings
from flowrun.envs.system import caller_env
from flowrun.envs.usage import Usage
from flowrun.errors import EnvError

if TYPE_CHECKING:
    from flowrun.envs.docker_engine import Engine
    from flowrun.envs.docker_images import Images


class _NotHereError(Exception):
    """Something would have to be fetched first."""


def _refuse(text: str, /) -> None:
    """Be told that something takes time, and let it not begin."""
    raise _NotHereError(text)


class EnvStore:
    """All environments under one folder. Safe for any number of threads and processes.

    Layout of the folder: `envs/` (see `Published`), `resolved/` (digest of a recipe to its lock),
    `locks/`, `scratch/`, `logs/`, `memos/`, `usage/` (see `Usage`). What is in use by this process
    stays until it ends or closes the store.
    """

    def __init__(self, root: Path, *, variables: Mapping[str, str], caller_python: Path) -> None:
        self._root = root = root.absolute()
        self._surroundings = Surroundings(variables, caller_python, root / MEMOS)
        self._published = Published(root / ENVS)
        self._builder = Builder(root, self._published)
        self._usage = Usage(root / USAGE)
        self._engine_lock = threading.Lock()
        self._engine: Engine | None = None

    def engine(self) -> Engine:
        """Give the container engine, connected to when it is first asked for.

        Raises:
            EnvError: none answers.
        """
        with self._engine_lock:
            if self._engine is None:
                # by name: the SDK takes as long to import as a short step takes to run
                module = import_module("flowrun.envs.docker_engine")
                connected: Engine = module.connect(self._surroundings.variables)
                self._engine = connected
            return self._engine

    def _images(self) -> Images:
        engine = self.engine()
        module = import_module("flowrun.envs.docker_images")
        images: Images = module.Images(engine, self._surroundings.variables, self._root)
        return images

    def check(self, request: EnvRequest, manager: str | None) -> None:
        """Find every mistake that can be found before any run exists, without network.

        Args:
            manager: as for `ensure`.

        Raises:
            SpecError: a file of the project has mistakes. UsageError: no such manager.
            EnvError: not available in this version, or not on this machine.
        """
        name = choose_manager(request, manager)
        if name == DOCKER:
            self._images().check(request)
        elif name != LOCAL:
            with self._told_plainly():
                backend = backends.load(name)(self._surroundings)
                # What is built was checked, and needs nothing of this machine any more.
                if not (request.lock and self._published.find(request.lock, backend)):
                    backend.check(request)

    def ensure(
        self,
        request: EnvRequest,
        manager: str | None,
        progress: Progress,
        *,
        is_cancelled: Callable[[], bool] = never,
    ) -> Env:
        """Give the environment, resolved and built first if this machine does not have it.

        With a lock in the request, it is the environment of exactly this lock or none.

        Args:
            manager: `local`, `virtualenv`, `uv` (the same), `conda`, or None for the project's own
                default. Of a recorded lock: the `Env.backend` that it came with.
            progress: hears of waiting, resolving and building; not called when all is there.
            is_cancelled: asked about ten times a second while a program works or another builder
                is waited for. Once it says yes, programs are ended and nothing half-made is left.

        Raises:
            SpecError, UsageError, EnvError: as `check`; EnvError also for a failed build, SpecError
                also for a lock that says what no lock of this project can.
            CancelledError: `is_cancelled` said yes.
        """
        name = choose_manager(request, manager)
        if name == LOCAL:
            return caller_env(self._surroundings.caller_python, self._surroundings.variables)
        with self._told_plainly():
            while True:
                if name == DOCKER:
                    env: Env = self._images().ensure(request, progress, is_cancelled)
                else:
                    env = self._prefix_env(name, request, progress, is_cancelled)
                # From here on nobody removes it; somebody may have just before.
                if self._usage.hold(env.key, is_cancelled) or self._is_there(env):
                    self._usage.note(env, request)
                    return env

    def close(self) -> None:
        """Give up the environments that were got here: from now on they may be removed."""
        self._usage.close()

    def _is_there(self, env: Env) -> bool:
        if isinstance(env, ImageEnv):
            return self._images().has(env.image_id)
        backend = backends.load(env.backend)(self._surroundings)
        return self._published.find(env.lock, backend) is not None

    def _prefix_env(
        self,
        name: str,
        request: EnvRequest,
        progress: Progress,
        is_cancelled: Callable[[], bool],
    ) -> PrefixEnv:
        surroundings = replace(self._surroundings, is_cancelled=is_cancelled)
        backend = backends.load(name)(surroundings)
        if request.lock and (found := self._published.find(request.lock, backend)):
            return found
        recipe = backend.recipe(request, progress)
        for note in recipe.notes:
            progress(note)
        if request.lock is not None:
            recipe = GivenRecipe(recipe, request.lock)
        found = self._builder.found(backend, recipe)
        return found or self._builder.make(backend, recipe, progress, is_cancelled)

    def asks(self, request: EnvRequest, manager: str | None) -> tuple[Ask, ...]:
        """Give all that the project says of the environment; empty for the caller's interpreter.

        Args:
            manager: as for `ensure`.

        Raises:
            SpecError, UsageError, EnvError: as `check`.
        """
        name = choose_manager(request, manager)
        if name == LOCAL:
            return ()
        if name == DOCKER:
            return image_asks(request.spec)
        return backends.load(name)(self._surroundings).asks(request)

    def resolve(
        self,
        request: EnvRequest,
        manager: str | None,
        progress: Progress,
        *,
        is_cancelled: Callable[[], bool] = never,
    ) -> str:
        """Give the lock of an environment, resolved now as the request's wish says; builds nothing.

        Args:
            manager: as for `ensure`, but not `local`.

        Raises:
            SpecError, UsageError, EnvError: as `check`; EnvError also where nothing fits.
            CancelledError: `is_cancelled` said yes.
        """
        name = choose_manager(request, manager)
        with self._told_plainly():
            if name == DOCKER:
                return self._images().resolve(request, progress)
            surroundings = replace(self._surroundings, is_cancelled=is_cancelled)
            only = replace(request, wish=replace(request.wish, is_built_then=False))
            recipe = backends.load(name)(surroundings).recipe(only, progress)
            return self._builder.resolve(recipe, progress, is_cancelled)

    def known(self, request: EnvRequest, manager: str | None) -> EnvLock | None:
        """Give what `ensure` would give an environment of, without network and without building.

        Args:
            manager: as for `ensure`.

        Returns:
            None: it was not resolved on this machine yet, or its image is not there.

        Raises:
            SpecError, UsageError, EnvError: as `check`.
        """
        name = choose_manager(request, manager)
        if name == LOCAL:
            env = caller_env(self._surroundings.caller_python, self._surroundings.variables)
            return EnvLock(LOCAL, env.lock)
        with self._told_plainly():
            if request.lock is not None:
                return EnvLock(name, request.lock)
            if name == DOCKER:
                lock = self._images().known(request)
            else:
                backend = backends.load(name)(self._surroundings)
                try:
                    lock = self._builder.remembered_lock(backend.recipe(request, _refuse))
                except _NotHereError:
                    lock = None
            return None if lock is None else EnvLock(name, lock)

    @contextmanager
    def _told_plainly(self) -> Iterator[None]:
        """Make the store's folder safe to use; say so when the disk does not play along."""
        try:
            make_private(self._root)
            yield
        except OSError as error:
            name = error.filename2 or error.filename  # of a copy, where it was to be
            place = f" ({name})" if name else ""
            raise EnvError(
                f"Environments can't be kept in {self._root}: {error.strerror or error}{place}.",
                "Free some space, or choose another place with FLOWRUN_HOME.",
            ) from error
