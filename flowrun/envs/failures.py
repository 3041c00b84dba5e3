"""Says in plain words why uv or virtualenv failed, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable

from flowrun.envs.lock import normalised
from flowrun.envs.process import CommandFailedError
from flowrun.envs.requirements import Requirement
from flowrun.errors import EnvError

_UNKNOWN = re.compile(r"Because (?P<name>\S+) was not found in the (package registry|provided)")
_NO_VERSION = (
    re.compile(r"there (?:is|are) no versions? of (?P<name>[A-Za-z0-9._-]+)(?P<wanted>[^\s,]*)"),
    re.compile(r"[Bb]ecause only (?P<name>[A-Za-z0-9._-]+)(?P<there>[^\s,]+) is available"),
)
_NETWORK = re.compile(
    r"dns error|error sending request|Connection refused|timed out|tcp connect error"
    r"|network was disabled|invalid peer certificate",
    re.IGNORECASE,
)
_MISMATCH = re.compile(r"Hash mismatch for `(?P<pin>[^`]+)`")
_DENIED = re.compile(r"401 Unauthorized|403 Forbidden")
_UNBUILT = re.compile(r"Building source distributions for `(?P<name>[^`]+)` is disabled")
_FULL = re.compile(r"No space left on device|os error 28|Disk quota exceeded")


def explained(error: CommandFailedError, env: str, wanted: Iterable[Requirement]) -> EnvError:
    """Return the error to show for a failed command.

    Args:
        env: the environment as people know it (`env 3f9c2a1d (python_env.yaml)`).
        wanted: the project's requirements, to point at the one that is to blame.
    """
    places = {each.name: each for each in wanted if each.name}
    reason, hint = _reason(error.tail, places)
    head = f"{env}: {error.what} {error.ended}"
    message = f"{head}: {reason}." if reason else f"{head}:\n{_complaint(error.tail)}"
    return EnvError(message, f"{hint} Log: {error.log}".lstrip())


def _reason(tail: str, places: dict[str, Requirement]) -> tuple[str, str]:
    """Return why, and what to do; empty texts when the last lines must speak for themselves."""
    if _FULL.search(tail):
        return "the disk is full", "Free some space; nothing half-made is left behind."
    if match := _MISMATCH.search(tail):
        pin = match["pin"]
        return (
            f"the file on the index for {pin}{_place(pin.split('==')[0], places)} "
            "is not the one whose hash the project gives",
            "Either the hash is wrong, or the file was changed.",
        )
    if _DENIED.search(tail):
        return (
            f"{_address(tail)} refuses the login",
            "Check the user and password in the index settings (UV_DEFAULT_INDEX, pip.conf).",
        )
    if _NETWORK.search(tail):
        return (
            f"no answer from {_address(tail)}",
            "Check the network and the index settings (UV_DEFAULT_INDEX, pip.conf).",
        )
    if match := _UNBUILT.search(tail):
        name = match["name"]
        return (
            f"what '{name}'{_place(name, places)} needs can't be told without building it, which "
            "was not allowed",
            "",
        )
    if match := _UNKNOWN.search(tail):
        name = match["name"]
        return f"there is no package '{name}'{_place(name, places)}", "Is the name right?"
    for pattern in _NO_VERSION:
        if match := pattern.search(tail):
            name = match["name"]
            asked = places.get(normalised(name))
            shown = str(asked) if asked else name
            found = match.groupdict().get("there")
            there = f"; there is only {name}{found}" if found else ""
            return f"no version of '{shown}'{_place(name, places)}{there}", "Is the version right?"
    return "", ""


def _complaint(tail: str) -> str:
    """Return the last lines from where uv's own complaint begins, if it can be told."""
    start = tail.find("error: ")
    return tail[start:] if start > 0 else tail


def _place(name: str, places: dict[str, Requirement]) -> str:
    asked = places.get(normalised(name))
    return f" ({asked.mark.file}:{asked.mark.line})" if asked else ""


def _address(tail: str) -> str:
    """Return the address that uv could not fetch."""
    match = re.search(r"Failed to fetch:? `?(\S+?)`?(?:\s|$)", tail)
    return match[1] if match else "the package index"
