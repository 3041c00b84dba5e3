"""What a `docker_env` says of its image."""

from __future__ import annotations

from collections.abc import Iterator

from flowrun.envs.base import Ask
from flowrun.spec.project import EnvSpec, Mark


def image_asks(spec: EnvSpec) -> tuple[Ask, ...]:
    """Return all that decides which image it is."""
    mark = spec.mark or Mark("MLproject", 1, 1)
    return tuple(Ask(text, mark) for text in _texts(spec))


def _texts(spec: EnvSpec) -> Iterator[str]:
    docker = spec.docker
    if docker is not None and docker.build is None:
        yield f"image {docker.image}"
        if docker.platform:
            yield f"platform {docker.platform}"
