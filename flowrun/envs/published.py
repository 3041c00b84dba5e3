"""The built environments, by key: what readers see, and how it gets there."""

from __future__ import annotations

import hashlib
import json
import os
import re
from functools import lru_cache
from pathlib import Path

from flowrun.envs.base import PrefixEnv
from flowrun.envs.folders import remove
from flowrun.envs.recipe import EnvBackend

_DIGITS_IN_NAME = 12
_NAME = re.compile(rf"[0-9a-f]{{{_DIGITS_IN_NAME}}}-[0-9a-f]+")


@lru_cache(maxsize=64)
def key_of(lock: str) -> str:
    """Return the key of the environment that `lock` pins; the lock's first line is its tag."""
    return hashlib.sha256(lock.encode()).hexdigest()


def write_whole(file: Path, text: str) -> None:
    """Write a small file so that readers see all of it or nothing."""
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f"{file.name}.{os.urandom(4).hex()}.tmp")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)


class Published:
    """Environments in `folder`: a record `KEY.json` names a folder `DIGEST...-nonce` beside it.

    An environment's own files name its absolute path (scripts, pyvenv.cfg), so it is built where
    it stays, under a name of its own; what is published, by one rename, is the record. A folder
    that no record names was never finished, and is nobody's. It is named for the digest of its
    recipe, because it is begun before its key is known.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, lock: str, backend: EnvBackend) -> PrefixEnv | None:
        """Return the environment of `lock`, or None if there is none or it is damaged."""
        key = key_of(lock)
        name = self._recorded(key)
        if name is None:
            return None
        env = backend.env(key, lock, self._folder / name)
        return None if backend.unhealthy(env) else env

    def folders(self) -> dict[str, Path]:
        """Return the folders of all environments by key; some may be gone."""
        found = ((file.stem, self._recorded(file.stem)) for file in self._folder.glob("*.json"))
        return {key: self._folder / name for key, name in sorted(found) if name}

    def unfinished(self) -> list[Path]:
        """Return the folders that no record names; some may be of builds that go on now."""
        finished = set(self.folders().values())
        found = self._folder.iterdir() if self._folder.exists() else ()
        # by the pattern of our names: whatever else somebody has put here is not ours to remove
        ours = (each for each in found if _NAME.fullmatch(each.name) and each.is_dir())
        return sorted(each for each in ours if each not in finished)

    def withdraw(self, key: str) -> None:
        """Remove an environment.

        Only for the holder of the key's lock, if nobody uses it.
        """
        name = self._recorded(key)
        self._record(key).unlink(missing_ok=True)  # first: whoever looks now finds nothing
        if name:
            remove(self._folder / name)

    def new_prefix(self, digest: str) -> Path:
        """Return a fresh place for a recipe's environment; clears away its unfinished ones.

        Only for the holder of the digest's lock.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        short = digest[:_DIGITS_IN_NAME]
        if left := list(self._folder.glob(f"{short}-*")):
            finished = {self._recorded(record.stem) for record in self._folder.glob("*.json")}
            for folder in left:
                if folder.name not in finished:
                    remove(folder)
        return self._folder / f"{short}-{os.urandom(3).hex()}"

    def publish(self, key: str, prefix: Path) -> None:
        """Make the finished environment at `prefix` the one of `key`, in place of a damaged one.

        Only for the holder of the key's lock, once `find` gave None.
        """
        damaged = self._recorded(key)
        write_whole(self._record(key), json.dumps({"folder": prefix.name}))
        if damaged:
            remove(self._folder / damaged)

    def _record(self, key: str) -> Path:
        return self._folder / f"{key}.json"

    def _recorded(self, key: str) -> str | None:
        try:
            found = json.loads(self._record(key).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        name = found.get("folder") if isinstance(found, dict) else None
        # The record is ours, but a name that leads elsewhere must never be followed.
        return name if isinstance(name, str) and _NAME.fullmatch(name) else None
