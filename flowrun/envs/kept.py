"""The environments that are kept on this machine: what they are for, and what they take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from flowrun.envs.disk import DiskUse
from flowrun.envs.exclusive import exclusive_now
from flowrun.envs.folders import make_private
from flowrun.envs.layout import ENVS, LOCKS, USAGE
from flowrun.envs.published import Published
from flowrun.envs.usage import Facts, Usage
from flowrun.errors import EnvError, NotFoundError, UsageError
from flowrun.valueclass import valueclass

if TYPE_CHECKING:
    from flowrun.envs.docker_kept import KeptImages

_MORE_DIGITS = 8


@valueclass
class KeptEnv:
    """One environment."""

    key: str
    facts: Facts
    folder: Path | None
    """None for an image."""
    is_ours: bool
    """flowrun made it. Not so: an image that was pulled, which others may use as well."""
    disk: DiskUse = field(repr=False)
    """Of an image, what its engine says, with the layers that it shares with others."""
    last_used_ms: int
    is_in_use: bool
    """By a flowrun that runs now."""
    lock: Path
    """The file with its lock."""


class KeptEnvs:
    """All environments of a store. Safe beside any number of running flowruns."""

    def __init__(self, root: Path, variables: Mapping[str, str]) -> None:
        """Look at a store.

        Args:
            root: its folder, which need not be there.
            variables: the caller's; they say where the container engine is.

        Raises:
            EnvError: the folder is somebody else's.
        """
        if root.exists() or root.is_symlink():
            make_private(root)
        self._root = root
        self._variables = variables
        self._published = Published(root / ENVS)
        self._usage = Usage(root / USAGE)
        self._images: KeptImages | None = None
        self.images_problem = ""
        """Why images can't be seen, if `all` has found that some were used."""

    def all(self) -> list[KeptEnv]:
        """Return all environments, the one used last first."""
        found = [*self._folders(), *self._image_envs()]
        return sorted(found, key=lambda env: (-env.last_used_ms, env.key))

    def find(self, key: str) -> KeptEnv:
        """Return the environment whose key begins so.

        Raises:
            NotFoundError: there is none. UsageError: there are several.
        """
        found = [env for env in self.all() if env.key.startswith(key)]
        if not found:
            raise NotFoundError(
                f"No environment has a key that begins with '{key}'.",
                "`flowrun envs list` shows all of them.",
            )
        if len(found) > 1:
            shown = ", ".join(env.key[: len(key) + _MORE_DIGITS] for env in found)
            raise UsageError(f"Several environments have a key that begins with '{key}': {shown}.")
        return found[0]

    @contextmanager
    def claimed(self, env: KeptEnv) -> Iterator[bool]:
        """Keep everybody from using or building an environment; give whether nobody does now."""
        with ExitStack() as held:
            is_free = held.enter_context(exclusive_now(self._root / LOCKS / env.key))
            yield is_free and held.enter_context(self._usage.unused(env.key))

    def remove(self, env: KeptEnv) -> bool:
        """Remove an environment that is claimed; False if its engine does not let it go."""
        if env.folder is not None:
            self._published.withdraw(env.key)
        elif not self._images or not self._images.remove(env.facts.image_id, env.facts.name):
            return False
        self._usage.forget(env.key)
        return True

    def _folders(self) -> Iterator[KeptEnv]:
        for key, folder in self._published.folders().items():
            if folder.exists():
                disk = DiskUse.of([folder])
                yield self._env(key, self._usage.facts(key), folder, disk, is_ours=True)

    def _image_envs(self) -> Iterator[KeptEnv]:
        used = {key: facts for key, facts in self._usage.noted().items() if facts.image_id}
        images = self._connected() if used else None
        for key, facts in used.items():
            image = images.get(facts.image_id) if images else None
            if image is not None:
                disk = DiskUse.of_bytes(image.size_bytes)
                yield self._env(key, facts, None, disk, is_ours=image.is_ours)

    def _env(
        self, key: str, facts: Facts, folder: Path | None, disk: DiskUse, *, is_ours: bool
    ) -> KeptEnv:
        with self._usage.unused(key) as is_unused:
            pass
        last_used_ms, lock = self._usage.last_used_ms(key), self._usage.lock_file(key)
        return KeptEnv(key, facts, folder, is_ours, disk, last_used_ms, not is_unused, lock)

    def _connected(self) -> KeptImages | None:
        # by name: most machines have no images, and the SDK is slow to import
        try:
            found: KeptImages = import_module("flowrun.envs.docker_kept").connect(self._variables)
        except EnvError as error:
            self.images_problem = error.message
            return None
        self._images = found
        return found
