"""Loads py-rattler when packages are solved or installed: a warm environment needs none of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path

from flowrun.envs.base import Wish
from flowrun.envs.conda.channels import Channels
from flowrun.envs.conda.file import Spec
from flowrun.envs.conda.machine import Machine
from flowrun.errors import EnvError
from flowrun.valueclass import valueclass

IsCancelled = Callable[[], bool]


@valueclass
class CondaPackages:
    """The functions of `solving.py` and `installing.py`."""

    check_specs: Callable[[Iterable[Spec]], None]
    solve: Callable[[Sequence[Spec], Channels, Machine, Path, IsCancelled, Wish], str]
    install: Callable[[str, Path, Channels, Machine, Path, IsCancelled], None]


def conda_packages() -> CondaPackages:
    """Return what solves and installs.

    Raises:
        EnvError: py-rattler is not installed.
    """
    try:
        solving = import_module("flowrun.envs.conda.solving")
        installing = import_module("flowrun.envs.conda.installing")
    except ModuleNotFoundError as error:
        if error.name != "rattler":
            raise
        raise EnvError(
            "conda environments need py-rattler, which is not installed beside flowrun.",
            "Install flowrun with its extra: pip install 'flowrun[conda]' (from a checkout: "
            "pip install '.[conda]'). No conda program is needed. --env-manager virtualenv "
            "installs the Python and the pip packages of a conda.yaml without it.",
        ) from error
    return CondaPackages(solving.check_specs, solving.solve, installing.install)
