"""An environment with nothing in it: made by virtualenv once for each interpreter, then copied.

virtualenv takes longer to load than uv takes to install a small project. What it makes without
seed packages and activation scripts names no path of its own, so that a copy of it is as good.
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path

from flowrun.envs.interpreters import Interpreter
from flowrun.envs.workshop import Workshop

MakeBare = Callable[[Interpreter, Path, Path, Mapping[str, str]], None]


class BareEnv:
    """The bare environment of one interpreter, in one workshop."""

    def __init__(self, interpreter: Interpreter, memos: Path, caller: Mapping[str, str]) -> None:
        self._interpreter = interpreter
        self._template = memos / f"bare-{_identity(interpreter)}"
        self._caller = caller

    def place(self, shop: Workshop) -> None:
        """Put a bare environment at the workshop's prefix.

        Raises:
            EnvError: virtualenv can't make one for this interpreter.
        """
        if not self._is_there:
            self._make(shop)
        shutil.copytree(self._template, shop.prefix, symlinks=True)

    def _make(self, shop: Workshop) -> None:
        made = shop.folder / "bare"
        # Not imported above: a warm start does without it.
        make: MakeBare = import_module("flowrun.envs.bare_maker").make_bare
        make(self._interpreter, made, self._template.parent / "virtualenv", self._caller)
        self._template.parent.mkdir(parents=True, exist_ok=True)
        if self._template.exists() and not self._is_there:
            shutil.rmtree(self._template)
        try:
            made.rename(self._template)
        except OSError:
            # Another builder was faster; one is like the other.
            if not self._is_there:
                raise

    @property
    def _is_there(self) -> bool:
        return (self._template / "bin/python").exists()


def _identity(interpreter: Interpreter) -> str:
    """Return what a template is good for: this interpreter, made by this virtualenv."""
    spec = importlib.util.find_spec("virtualenv")
    maker = spec.origin if spec and spec.origin else ""
    facts = [interpreter.executable, interpreter, maker, maker and Path(maker).stat().st_mtime_ns]
    return hashlib.sha256("\n".join(map(str, facts)).encode()).hexdigest()[:16]
