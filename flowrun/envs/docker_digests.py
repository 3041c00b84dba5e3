"""What exactly an image's name means: by its registry's word, or by the engine's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from flowrun.envs.base import EnvRequest, Progress
from flowrun.envs.docker_engine import UNREACHABLE, Engine, reason
from flowrun.envs.image_lock import DIGEST, ImageLock
from flowrun.envs.platforms import platform_of, this_platform
from flowrun.errors import EnvError
from flowrun.settings import offline_error

Known = Callable[[str], Mapping[str, object] | None]
"""A platform to what the engine itself has under the image's name, if it has it."""


def registered_lock(
    engine: Engine | None, request: EnvRequest, known: Known, progress: Progress
) -> str:
    """Give the lock of an image that the project names: what its registry says it is now.

    Nothing is pulled. What the request's wish keeps is kept.

    Args:
        engine: asks the registry; None: nobody does.
        known: tells what the engine has.

    Raises:
        EnvError: no registry says, and the engine does not have it either.
    """
    docker, wish = request.spec.docker, request.wish
    assert docker is not None  # noqa: S101 - a promise of the spec
    where = f"{request.spec.mark}: " if request.spec.mark else ""
    there = platform_of(wish.platform) if wish.platform else this_platform()
    platform = docker.platform or there.image
    if wish.kept:
        kept = ImageLock.parse(wish.kept, f"lock of image {docker.image}")
        return replace(kept, platform=platform).render()
    if DIGEST.fullmatch(docker.image):
        return ImageLock(docker.image, platform, (docker.image,)).render()
    if engine is None:
        if (own := known(platform)) is not None:
            return lock_of(docker.image, own)
        raise EnvError(where + offline_error(f"image '{docker.image}'") + ".")
    progress(f"asking the registry for image {docker.image}")
    try:
        found = engine.api.inspect_distribution(docker.image)  # type: ignore[no-untyped-call]  # the stubs say nothing of it
    except UNREACHABLE as error:
        own = known(platform)
        if own is None:
            raise EnvError(
                f"{where}image '{docker.image}': no registry tells its digest, and it is not on "
                f"this machine: {reason(error)}."
            ) from error
        return lock_of(docker.image, own)
    if not any(_is_for(each, platform) for each in found.get("Platforms") or []):
        raise EnvError(f"{where}image '{docker.image}' is not there for {platform}.")
    digest = f"{parts_of(docker.image)[0]}@{found['Descriptor']['digest']}"
    return ImageLock(docker.image, platform, (digest,)).render()


def lock_of(name: str, found: Mapping[str, object]) -> str:
    """Give the lock of an image that the engine has.

    Args:
        found: what the engine says of it.
    """
    # The digest of a registry says more than the id: another machine can pull it.
    digests = found.get("RepoDigests")
    known = tuple(map(str, digests)) if isinstance(digests, list) else ()
    platform = f"{found.get('Os')}/{found.get('Architecture')}"
    return ImageLock(name, platform, known, str(found["Id"])).render()


def parts_of(name: str) -> tuple[str, str]:
    """Give repository and tag of an image's name: the port of a registry is no tag."""
    repository, colon, tag = name.rpartition(":")
    return (repository, tag) if colon and "/" not in tag else (name, "latest")


def _is_for(there: Mapping[str, object], platform: str) -> bool:
    """Tell whether one of the platforms that a registry names is this one."""
    return f"{there.get('os')}/{there.get('architecture')}" == "/".join(platform.split("/")[:2])
