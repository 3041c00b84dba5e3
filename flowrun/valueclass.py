"""Classes of values: what `dataclass(frozen=True, slots=True)` makes, in a third of the time.

A frozen dataclass compiles six methods when its module is loaded; for the two hundred classes that
a run needs, that was a quarter of flowrun's start. Of these only `__init__` is compiled, the others
are the same functions for all classes. That nothing is assigned to a value is for the type checker
to see, not for each assignment of each `__init__`, which makes values quicker to make as well.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from operator import attrgetter
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
def valueclass(cls: type[T]) -> type[T]:
    """Make a class one of values, with the fields that it declares.

    Everything of `dataclasses` works on it: `field`, `replace`, `fields`, `asdict`, patterns.
    """
    made = dataclasses.dataclass(repr=False, eq=False, slots=True)(cls)
    fields = dataclasses.fields(made)  # type: ignore[arg-type]  # it is one
    own = vars(cls)
    shared: dict[str, object] = {
        "__compared__": staticmethod(_getter([each.name for each in fields if each.compare])),
        "__eq__": _is_equal,
        "__hash__": _hash,
        "__repr__": _shown,
    }
    for name, method in shared.items():
        if name not in own:
            setattr(made, name, method)
    return made


def _getter(names: list[str]) -> Callable[[object], object]:
    return attrgetter(*names) if names else lambda _: ()


def _is_equal(self: object, other: object) -> object:
    if other.__class__ is not self.__class__:
        return NotImplemented
    compared = self.__compared__  # type: ignore[attr-defined]  # `valueclass` has put it there
    return compared(self) == compared(other)


def _hash(self: object) -> int:
    return hash((self.__class__, self.__compared__(self)))  # type: ignore[attr-defined]  # as above


def _shown(self: object) -> str:
    fields = (each for each in dataclasses.fields(self) if each.repr)  # type: ignore[arg-type]  # it has some
    inner = ", ".join(f"{each.name}={getattr(self, each.name)!r}" for each in fields)
    return f"{self.__class__.__qualname__}({inner})"
