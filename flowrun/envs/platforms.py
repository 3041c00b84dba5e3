"""The platforms that environments are locked for, in the words of each tool."""

from __future__ import annotations

import platform
import re
import sys

from flowrun.errors import EnvError, UsageError
from flowrun.valueclass import valueclass


@valueclass
class Platform:
    """One platform; its name is conda's."""

    name: str
    uv: str
    """uv's `--python-platform`."""
    machine: str
    """The end of a CPython's ABI name there."""
    image: str
    """The platform of images that run there."""


_EVERY = (
    Platform("linux-64", "x86_64-unknown-linux-gnu", "x86_64-linux-gnu", "linux/amd64"),
    Platform("linux-aarch64", "aarch64-unknown-linux-gnu", "aarch64-linux-gnu", "linux/arm64"),
    Platform("osx-64", "x86_64-apple-darwin", "darwin", "linux/amd64"),
    Platform("osx-arm64", "aarch64-apple-darwin", "darwin", "linux/arm64"),
)
_NAMES = {
    ("linux", "x86_64"): "linux-64",
    ("linux", "aarch64"): "linux-aarch64",
    ("darwin", "x86_64"): "osx-64",
    ("darwin", "arm64"): "osx-arm64",
}
_ABI = re.compile(r"\w+?-\d+\w*")


def platform_of(name: str) -> Platform:
    """Return a platform by its name.

    Raises:
        UsageError: nothing is locked for it.
    """
    for each in _EVERY:
        if each.name == name:
            return each
    known = ", ".join(each.name for each in _EVERY)
    raise UsageError(f"'{name}' is no platform that flowrun locks for; there are: {known}.")


def this_platform() -> Platform:
    """Return the platform of this machine.

    Raises:
        EnvError: nothing is locked for it.
    """
    name = _NAMES.get((sys.platform, platform.machine()))
    if name is None:
        raise EnvError(f"Nothing is locked for {sys.platform} on {platform.machine()}.")
    return platform_of(name)


def abi_on(abi: str, there: Platform) -> str:
    """Return what the ABI of this machine's interpreter is called on another platform."""
    match = _ABI.match(abi)
    return f"{match[0]}-{there.machine}" if match else abi
