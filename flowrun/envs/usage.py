"""What is known of the environments that were used: who asked, when last, and who has one now."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path

from flowrun.envs.base import Env, EnvRequest, ImageEnv
from flowrun.envs.exclusive import exclusive_now
from flowrun.envs.manager import describe
from flowrun.envs.published import write_whole
from flowrun.errors import CancelledError
from flowrun.valueclass import valueclass

_LOOK_EVERY_S = 0.05
_MOST_ASKERS = 16


@valueclass
class Facts:
    """What an environment is for."""

    backend: str
    name: str = ""
    """The image, of a container."""
    image_id: str = ""
    asked_by: tuple[str, ...] = ()
    """Projects with the file that describes it, the newest last."""


class Usage:
    """Notes in a folder: of each environment `KEY.json` (facts), `KEY.lock` (its lock) and `KEY`.

    A process that uses an environment holds a shared lock on `KEY` for as long as it lives, and
    whoever removes one an exclusive lock: the kernel gives both back. The file's time is that of
    the last use. It stays when the environment is removed: to remove it would let both in.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, int] = {}
        """Descriptors by key."""
        self._noted: set[tuple[str, str]] = set()
        self._guard = threading.Lock()

    def hold(self, key: str, is_cancelled: Callable[[], bool]) -> bool:
        """Use an environment from now on; tell whether this process did so before.

        Raises:
            CancelledError: `is_cancelled` said yes while somebody was removing it.
        """
        with self._guard:
            descriptor = self._held.get(key)
        if descriptor is not None:
            os.utime(descriptor)
            return True
        self._folder.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._folder / key, flags, 0o600)
        pause = threading.Event()
        while not _is_shared(descriptor):
            if is_cancelled():
                os.close(descriptor)
                raise CancelledError("cancelled while its old environment was removed")
            pause.wait(_LOOK_EVERY_S)
        os.utime(descriptor)
        with self._guard:
            if self._held.setdefault(key, descriptor) != descriptor:
                os.close(descriptor)  # another thread was faster
        return False

    def note(self, env: Env, request: EnvRequest) -> None:
        """Write down what an environment is for, unless that is known."""
        asker = f"{request.asker} ({_label(env, request)})".strip()
        if (env.key, asker) in self._noted:
            return
        self._noted.add((env.key, asker))
        known = self.facts(env.key)
        if asker in known.asked_by:
            return
        image = (env.name, env.image_id) if isinstance(env, ImageEnv) else ("", "")
        askers = (*known.asked_by, asker)[-_MOST_ASKERS:]
        facts = Facts(env.backend, *image, askers)
        with contextlib.suppress(OSError):  # a full disk is no reason not to use what is there
            write_whole(self.lock_file(env.key), env.lock)
            write_whole(self._folder / f"{env.key}.json", json.dumps(asdict(facts)))

    def facts(self, key: str) -> Facts:
        """Return what an environment is for; nothing of one that was never noted."""
        try:
            found = json.loads((self._folder / f"{key}.json").read_text(encoding="utf-8"))
            texts = {name: str(found[name]) for name in ("backend", "name", "image_id")}
            return Facts(**texts, asked_by=tuple(map(str, found["asked_by"])))
        except (OSError, ValueError, KeyError, TypeError):
            return Facts("")

    def noted(self) -> dict[str, Facts]:
        """Return what all environments are for, by key."""
        keys = sorted(file.stem for file in self._folder.glob("*.json"))
        return {key: self.facts(key) for key in keys}

    def lock_file(self, key: str) -> Path:
        """Return where an environment's lock is, once it was noted."""
        return self._folder / f"{key}.lock"

    def last_used_ms(self, key: str) -> int:
        """Return the time of the last use; 0 if there was none."""
        try:
            return (self._folder / key).stat().st_mtime_ns // 1_000_000
        except FileNotFoundError:
            return 0

    def unused(self, key: str) -> AbstractContextManager[bool]:
        """Keep everybody from using an environment; give whether nobody does now."""
        return exclusive_now(self._folder / key)

    def forget(self, key: str) -> None:
        """Forget what a removed environment was for."""
        (self._folder / f"{key}.json").unlink(missing_ok=True)
        self.lock_file(key).unlink(missing_ok=True)

    def close(self) -> None:
        """Use nothing any more."""
        with self._guard:
            for descriptor in self._held.values():
                os.close(descriptor)
            self._held.clear()


def _label(env: Env, request: EnvRequest) -> str:
    """Return what describes the environment, as people know it."""
    if not isinstance(env, ImageEnv):
        return describe(request).label
    build = request.spec.docker.build if request.spec.docker else None
    return build.dockerfile if build else env.name


def _is_shared(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
