"""Flavors by name, imported when a model needs one: flowrun's own, and those of third parties.

A third party's package names an object with the members of `Flavor` under the entry point group
`flowrun.flavors`.
"""

from __future__ import annotations

import importlib
import sys
from importlib import metadata

from flowrun.errors import UnsupportedError
from flowrun.models.flavors.base import Flavor

GROUP = "flowrun.flavors"
_HERE = "flowrun.models.flavors"
BACKENDS = {
    "catboost": f"{_HERE}.catboost:FLAVOR",
    "keras": f"{_HERE}.keras:FLAVOR",
    "langchain": f"{_HERE}.langchain:FLAVOR",
    "lightgbm": f"{_HERE}.lightgbm:FLAVOR",
    "onnx": f"{_HERE}.onnx:FLAVOR",
    "python_function": f"{_HERE}.own:FLAVOR",
    "pytorch": f"{_HERE}.pytorch:FLAVOR",
    "sklearn": f"{_HERE}.sklearn:FLAVOR",
    "spark": f"{_HERE}.spark:FLAVOR",
    "statsmodels": f"{_HERE}.statsmodels:FLAVOR",
    "transformers": f"{_HERE}.transformers:FLAVOR",
    "xgboost": f"{_HERE}.xgboost:FLAVOR",
}
"""Name of a flavor's section in MLmodel files to where it is."""


def find_flavor(name: str) -> Flavor:
    """Give a flavor.

    Raises:
        UnsupportedError: nobody brings one of this name.
    """
    if name in BACKENDS:
        module, _, attribute = BACKENDS[name].partition(":")
        flavor: Flavor = getattr(importlib.import_module(module), attribute)
        return flavor
    for entry in _entry_points():
        if entry.name == name:
            loaded: Flavor = entry.load()
            return loaded
    known = ", ".join(sorted({*BACKENDS, *(entry.name for entry in _entry_points())}))
    raise UnsupportedError(
        f"models of flavor '{name}' can't be loaded; flavors here: {known}",
        f"A package that brings it names it under the entry point '{GROUP}'.",
    )


def third_parties() -> list[Flavor]:
    """Give the flavors that other packages bring."""
    return [entry.load() for entry in _entry_points()]


def _entry_points() -> list[metadata.EntryPoint]:
    if sys.version_info >= (3, 10):
        return list(metadata.entry_points(group=GROUP))
    return list(metadata.entry_points().get(GROUP, ()))
