"""What may be said of a container in the words of `docker run`, and what the engine calls it.

One table for the keys of `docker_env` and for `--docker-args NAME=VALUE`, so that the words of a
user become fields of one request and never options of a program.
Source: Docker Engine API v1.41, "Create a container"; docker-run(1).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import field

from flowrun.errors import UsageError
from flowrun.valueclass import valueclass

_SIZE = re.compile(r"([0-9]+)([bkmg])?b?", re.IGNORECASE)
_POWER = {"b": 0, "k": 1, "m": 2, "g": 3}
_GPUS = re.compile(r"(all)|([1-9][0-9]*)|\"?device=([A-Za-z0-9_.,-]+)\"?")


@valueclass
class Wanted:
    """A container as the engine's API takes it."""

    config: dict[str, object] = field(default_factory=dict)
    host: dict[str, object] = field(default_factory=dict)
    """The part called HostConfig."""


def check_arguments(arguments: Mapping[str, str]) -> None:
    """Refuse names that are not in the table, and values that can't be read.

    Raises:
        UsageError: with the names there are.
    """
    apply_arguments(arguments, Wanted())


def apply_arguments(arguments: Mapping[str, str], wanted: Wanted) -> None:
    """Add arguments to a container; UsageError as in `check_arguments`."""
    for given, value in arguments.items():
        name = full_name(given)
        if name in _IGNORED:
            continue
        if name not in _TABLE:
            raise UsageError(
                f"--docker-args {given}: flowrun has no such argument",
                f"There are: {', '.join(sorted(_TABLE))}.",
            )
        place, key, convert = _TABLE[name]
        try:
            converted = convert(value)
        except ValueError as error:
            raise UsageError(f"--docker-args {given}={value}: {error}") from None
        part = wanted.host if place == _HOST else wanted.config
        before = part.get(key)
        if isinstance(before, list) and isinstance(converted, list):
            part[key] = before + converted
        else:
            part[key] = converted


def full_name(name: str) -> str:
    """Give an argument's long name: `user` for `u` and `--user`."""
    plain = name.lstrip("-").replace("_", "-")
    return _SHORT.get(plain, plain)


def _size(text: str) -> int:
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError("must be a size such as 512m or 2g")
    return int(found[1]) << 10 * _POWER[(found[2] or "b").lower()]


def _nano_cpus(text: str) -> int:
    try:
        cpus = float(text)
    except ValueError:
        cpus = 0.0
    if not 0 < cpus < 1e6:
        raise ValueError("must be a number of cpus, more than 0")
    return round(cpus * 1e9)


def _number(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise ValueError("must be a whole number")
    return int(text)


def _flag(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise ValueError("must be true or false")
    return text.lower() == "true"


def _list(text: str) -> list[object]:
    return [word for word in text.split(",") if word]


def _gpus(text: str) -> list[object]:
    found = _GPUS.fullmatch(text)
    if found is None:
        raise ValueError("must be all, a count, or device=...")
    request: dict[str, object] = {"Capabilities": [["gpu"]]}
    if found[3]:
        request["DeviceIDs"] = found[3].split(",")
    else:
        request["Count"] = -1 if found[1] else int(found[2])
    return [request]


def _devices(text: str) -> list[object]:
    found: list[object] = []
    for word in _list(text):
        outside, _, rest = str(word).partition(":")
        inside, _, permissions = rest.partition(":")
        found.append(
            {
                "PathOnHost": outside,
                "PathInContainer": inside or outside,
                "CgroupPermissions": permissions or "rwm",
            }
        )
    return found


def _ulimits(text: str) -> list[object]:
    found: list[object] = []
    for word in _list(text):
        name, _, limits = str(word).partition("=")
        soft, _, hard = limits.partition(":")
        found.append({"Name": name, "Soft": _number(soft), "Hard": _number(hard or soft)})
    return found


def _tmpfs(text: str) -> dict[str, str]:
    path, _, options = text.partition(":")
    return {path: options}


def _entrypoint(text: str) -> list[str]:
    # The engine's word for "none": an empty list would mean the image's own.
    return [text]


_HOST, _CONFIG = "HostConfig", "Config"
_TABLE: Mapping[str, tuple[str, str, Callable[[str], object]]] = {
    "add-host": (_HOST, "ExtraHosts", _list),
    "cap-add": (_HOST, "CapAdd", _list),
    "cap-drop": (_HOST, "CapDrop", _list),
    "cpu-shares": (_HOST, "CpuShares", _number),
    "cpus": (_HOST, "NanoCpus", _nano_cpus),
    "cpuset-cpus": (_HOST, "CpusetCpus", str),
    "device": (_HOST, "Devices", _devices),
    "dns": (_HOST, "Dns", _list),
    "entrypoint": (_CONFIG, "Entrypoint", _entrypoint),
    "gpus": (_HOST, "DeviceRequests", _gpus),
    "group-add": (_HOST, "GroupAdd", _list),
    "hostname": (_CONFIG, "Hostname", str),
    "ipc": (_HOST, "IpcMode", str),
    "memory": (_HOST, "Memory", _size),
    "memory-swap": (_HOST, "MemorySwap", _size),
    "network": (_HOST, "NetworkMode", str),
    "pid": (_HOST, "PidMode", str),
    "pids-limit": (_HOST, "PidsLimit", _number),
    "platform": (_CONFIG, "Platform", str),
    "privileged": (_HOST, "Privileged", _flag),
    "read-only": (_HOST, "ReadonlyRootfs", _flag),
    "runtime": (_HOST, "Runtime", str),
    "security-opt": (_HOST, "SecurityOpt", _list),
    "shm-size": (_HOST, "ShmSize", _size),
    "tmpfs": (_HOST, "Tmpfs", _tmpfs),
    "ulimit": (_HOST, "Ulimits", _ulimits),
    "user": (_CONFIG, "User", str),
    "volume": (_HOST, "Binds", _list),
}
_SHORT = {
    "h": "hostname",
    "m": "memory",
    "net": "network",
    "u": "user",
    "v": "volume",
    "c": "cpu-shares",
}
_IGNORED = frozenset({"rm", "init", "i", "interactive", "t", "tty", "d", "detach"})
"""As it is anyway, or without meaning for a step, which has no terminal."""
