"""Takes part in the calls of other libraries, also of those that are imported later.

Whatever goes wrong here, the user's call goes on as if nobody had listened.
"""

from __future__ import annotations

import functools
import importlib
import importlib.abc
import importlib.machinery
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

Call = Callable[..., Any]
_MARK = "__flowrun_original__"
_waiting: dict[str, list[Callable[[], None]]] = {}
_depth = threading.local()


def when_imported(module: str, install: Callable[[], None]) -> None:
    """Call `install` now if the module is there, else as soon as somebody has imported it."""
    if module in sys.modules:
        quietly(f"hooks into {module}", install)
        return
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    _waiting.setdefault(module, []).append(install)


def wrap(owner: object, name: str, around: Callable[..., Any]) -> None:
    """Let `around(original, *args, **more)` be called in place of a function or method.

    Args:
        owner: the module or class that has it; one that has not (any more) is left alone.
        name: of the function.
        around: calls `original` once, and gives what it gave.
    """
    original = vars(owner).get(name)
    if not callable(original) or hasattr(original, _MARK):
        return

    @functools.wraps(original)
    def wrapped(*args: Any, **more: Any) -> Any:  # noqa: ANN401 - of any function
        return around(original, *args, **more)

    setattr(wrapped, _MARK, original)
    setattr(owner, name, wrapped)


def wrap_in_subclasses(
    base: type, name: str, around: Call, *, unless_from: tuple[str, ...] = ()
) -> None:
    """Wrap a method in each class below `base` that defines it, in those to come too.

    Args:
        base: the class.
        name: of the method.
        around: as for `wrap`.
        unless_from: what the modules of classes that are left alone begin with.
    """
    for kind in _below(base):
        if not kind.__module__.startswith(unless_from):
            wrap(kind, name, around)
    before = base.__init_subclass__

    def init_subclass(cls: Any, /, **more: object) -> None:  # noqa: ANN401 - a class
        # The bound one of `base` would tell it the wrong class.
        getattr(before, "__func__", lambda *_, **__: None)(cls, **more)
        if not cls.__module__.startswith(unless_from):
            wrap(cls, name, around)

    base.__init_subclass__ = classmethod(init_subclass)  # type: ignore[assignment]  # mypy: no method


def quietly(what: str, call: Callable[..., Any], *args: object) -> Any:  # noqa: ANN401 - of any call
    """Call something that is only about logging; give None and warn if it fails."""
    try:
        return call(*args)
    except Exception as error:  # noqa: BLE001 - the user's training must not fail for this
        warnings.warn(f"autologging of {what} failed: {error}", stacklevel=3)
        return None


@contextmanager
def outermost() -> Iterator[bool]:
    """Tell whether this is a training that the user began, and not part of another one."""
    depth = getattr(_depth, "value", 0)
    _depth.value = depth + 1
    try:
        yield depth == 0
    finally:
        _depth.value = depth


def is_inside_training() -> bool:
    """Tell whether a training is going on in this thread."""
    return getattr(_depth, "value", 0) > 0


class _Finder(importlib.abc.MetaPathFinder):
    """Sees what is imported, and finds nothing by itself."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in _waiting:
            return None
        installs = _waiting.pop(fullname)
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, installs)
        return spec


class _Loader(importlib.abc.Loader):
    """Loads as another does, and says when that is done."""

    def __init__(
        self, loader: importlib.abc.Loader, installs: Sequence[Callable[[], None]]
    ) -> None:
        self._loader = loader
        self._installs = installs

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # The library sees its own loader: some look for their files by it.
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        for install in self._installs:
            quietly(f"hooks into {module.__name__}", install)


def _below(base: type) -> Iterator[type]:
    kinds: list[type] = base.__subclasses__()
    for kind in kinds:
        yield kind
        yield from _below(kind)
