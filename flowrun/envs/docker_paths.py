"""Paths of this machine in a `docker_env`, with `~` and variables in them, read by no shell."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from flowrun.errors import EnvError
from flowrun.spec.project import DockerSpec, MountType

_VARIABLE = re.compile(r"\$(?:\{(?P<braced>[A-Za-z_]\w*)\}|(?P<plain>[A-Za-z_]\w*))")


def volumes_of(docker: DockerSpec, variables: Mapping[str, str]) -> Iterator[str]:
    """Yield the `volumes`, their paths of this machine complete and absolute.

    Raises:
        EnvError: one of them can't be.
    """
    for volume in docker.volumes:
        source, colon, rest = volume.partition(":")
        if not colon:
            yield volume
        elif source.startswith(("/", "~", "$", ".")) or "/" in source:
            yield f"{host_path(source, variables)}:{rest}"
        else:
            yield volume  # a volume of the engine's, by its name


def sources_of(docker: DockerSpec, variables: Mapping[str, str]) -> Iterator[str | None]:
    """Yield the source of each of the `mounts`, complete and absolute if it is a path.

    Raises:
        EnvError: one of them can't be.
    """
    for mount in docker.mounts:
        is_path = mount.type is MountType.BIND and mount.source is not None
        yield host_path(mount.source or "", variables) if is_path else mount.source


def host_path(text: str, variables: Mapping[str, str]) -> str:
    """Put variables into a path; EnvError if one is not set, or the path is not absolute."""
    home = variables.get("HOME", "")
    whole = f"{home}{text[1:]}" if text == "~" or text.startswith("~/") else text

    def value(match: re.Match[str]) -> str:
        name = match["braced"] or match["plain"]
        if name not in variables:
            raise EnvError(
                f"docker_env: '{text}' needs the environment variable {name}, which is not set."
            )
        return variables[name]

    path = _VARIABLE.sub(value, whole)
    if not path.startswith("/") or _VARIABLE.sub("", whole).count("$"):
        raise EnvError(
            f"docker_env: '{text}' is no absolute path of this machine.",
            "Write it out, or with ~, $NAME or ${NAME}: no shell looks at it.",
        )
    return path
