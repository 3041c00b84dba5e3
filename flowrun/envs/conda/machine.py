"""What of this machine decides which conda packages fit; looked up without py-rattler."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from flowrun.errors import EnvError
from flowrun.valueclass import valueclass

OVERRIDE = "CONDA_OVERRIDE_"
_SUBDIRS = {
    ("linux", "x86_64"): "linux-64",
    ("linux", "aarch64"): "linux-aarch64",
    ("linux", "ppc64le"): "linux-ppc64le",
    ("linux", "s390x"): "linux-s390x",
    ("linux", "riscv64"): "linux-riscv64",
    ("darwin", "x86_64"): "osx-64",
    ("darwin", "arm64"): "osx-arm64",
}
_NVIDIA = Path("/proc/driver/nvidia/version")
_PROCESSORS = Path("/proc/cpuinfo")
_FIRST_BYTES = 4096


@valueclass
class Machine:
    """What packages are chosen for, and where they are kept."""

    subdir: str
    """conda's name of the platform: `linux-64`."""
    overrides: Mapping[str, str]
    """The caller's CONDA_OVERRIDE_... variables, without that beginning; '' for "not there"."""
    cache: Path
    """A private folder, shared by all environments."""
    is_here: bool = True
    """Whether it is this machine: of another one nothing is known but its platform."""

    def lines(self) -> Iterator[str]:
        """Yield what decides which packages fit."""
        yield f"platform {self.subdir}"
        yield from (f"override {name}={value}" for name, value in self.overrides.items())
        yield from _facts() if self.is_here else ()


def subdir_of(variables: Mapping[str, str]) -> str:
    """Return conda's name of the platform to take packages of: `linux-64`.

    Raises:
        EnvError: conda knows no such machine, or CONDA_SUBDIR names none.
    """
    known = sorted(set(_SUBDIRS.values()))
    if asked := variables.get("CONDA_SUBDIR"):
        if asked not in known:
            raise EnvError(f"CONDA_SUBDIR={asked}: no such platform; known: {', '.join(known)}.")
        return asked
    machine = platform.machine()
    try:
        return _SUBDIRS[sys.platform, machine]
    except KeyError:
        raise EnvError(f"There are no conda packages for {sys.platform} on {machine}.") from None


def overrides_of(variables: Mapping[str, str]) -> dict[str, str]:
    """Return what the caller says of virtual packages (`{"CUDA": "12.4"}`)."""
    return {
        name.removeprefix(OVERRIDE): value
        for name, value in sorted(variables.items())
        if name.startswith(OVERRIDE)
    }


def _facts() -> Iterator[str]:
    """Yield what virtual packages are made of; a change may change which packages fit."""
    if sys.platform == "darwin":
        yield f"osx {platform.mac_ver()[0]}"
    elif "CS_GNU_LIBC_VERSION" in os.confstr_names:
        yield f"libc {os.confstr('CS_GNU_LIBC_VERSION')}"
    yield f"nvidia {_first_bytes(_NVIDIA).splitlines()[:1]}"
    features = (
        line
        for line in _first_bytes(_PROCESSORS).splitlines()
        if line.startswith(("flags", "Features"))
    )
    yield next(features, "")


def _first_bytes(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return stream.read(_FIRST_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
