"""One virtualenv environment: from checked inputs to a lock, and from a lock to a folder."""

from __future__ import annotations

import contextlib
from pathlib import Path

from flowrun.envs import lock as locks
from flowrun.envs.bare import BareEnv
from flowrun.envs.base import Wish
from flowrun.envs.index_settings import settings_digest
from flowrun.envs.inputs import Inputs
from flowrun.envs.interpreters import Interpreter
from flowrun.envs.platforms import abi_on, platform_of
from flowrun.envs.process import CommandFailedError
from flowrun.envs.published import key_of
from flowrun.envs.tools import Tools
from flowrun.envs.uv_packages import UvPackages
from flowrun.envs.workshop import Meanwhile, Workshop


class VirtualenvRecipe:
    """Locks and builds one environment. For one thread, in one workshop."""

    def __init__(self, inputs: Inputs, interpreter: Interpreter, tools: Tools, wish: Wish) -> None:
        self._wish = wish
        self._inputs = inputs
        self._interpreter = interpreter
        self._tools = tools
        self._bare = BareEnv(interpreter, tools.memos, tools.caller_variables)
        self._begun: Meanwhile | None = None
        self._packages = UvPackages(inputs, tools)
        self.label = inputs.description.label
        self.notes = inputs.notes
        self.digest = inputs.digest(str(interpreter), settings_digest(tools.uv_variables), wish)

    def lock(self, shop: Workshop) -> str:
        """Resolve for this interpreter and machine, or take what a uv.lock says."""
        if self._inputs.uv_lock is not None:
            shop.progress(f"reading {self.label}")
            self._begin_bare(shop)
        elif wanted := self._inputs.requirements.wanted:
            shop.progress(f"resolving {self.label} ({_count(len(wanted), 'requirement')})")
            self._begin_bare(shop)
        env = f"environment of {self.label}"
        resolved = self._packages.resolve(shop, self._interpreter.executable, env, self._wish)
        python = str(self._interpreter)
        if self._wish.platform is not None:
            there = platform_of(self._wish.platform)
            python = f"{self._interpreter.version} {abi_on(self._interpreter.abi, there)}"
        return locks.render(python, resolved.packages, resolved.trees)

    def build(self, lock: str, shop: Workshop) -> None:
        """Put a bare environment in its place, and let uv install exactly the lock."""
        self._finish_bare(shop)
        env = f"env {key_of(lock)[:8]} ({self.label})"
        self._packages.install(lock, shop, _python(shop), env)

    def _begin_bare(self, shop: Workshop) -> None:
        """Make the bare environment while uv resolves, and acquaint uv with it.

        uv asks every interpreter that it does not know about itself, which takes longer than to
        install a small project from its cache.
        """
        if not self._wish.is_built_then:
            return

        def work() -> None:
            self._bare.place(shop)
            command = self._tools.uv("python", "find", _python(shop))
            with contextlib.suppress(CommandFailedError):
                shop.run(command, self._tools.uv_variables, what="uv python find")

        self._begun = shop.meanwhile(work)

    def _finish_bare(self, shop: Workshop) -> None:
        if self._begun is None:
            self._bare.place(shop)
        else:
            self._begun.wait()
            self._begun = None


def _python(shop: Workshop) -> Path:
    return shop.prefix / "bin/python"


def _count(number: int, thing: str) -> str:
    return f"1 {thing}" if number == 1 else f"{number} {thing}s"
