"""The images of docker environments that a container engine keeps. Imported on use only."""

from __future__ import annotations

from collections.abc import Mapping

from flowrun.envs.docker_engine import UNREACHABLE, Engine, reason
from flowrun.envs.docker_engine import connect as connect_engine
from flowrun.envs.docker_images import BUILT, BUILT_LABEL
from flowrun.errors import EnvError
from flowrun.valueclass import valueclass


@valueclass
class KeptImage:
    """One image."""

    size_bytes: int
    is_ours: bool
    """flowrun has built it."""
    tags: tuple[str, ...]


class KeptImages:
    """All images of an engine, as they were when it was asked."""

    def __init__(self, engine: Engine, found: Mapping[str, KeptImage]) -> None:
        self._engine = engine
        self._found = found

    def get(self, image_id: str) -> KeptImage | None:
        """Return an image, if the engine has it."""
        return self._found.get(image_id)

    def remove(self, image_id: str, name: str) -> bool:
        """Take flowrun's names from an image, which goes when it has no other.

        Args:
            image_id: the image.
            name: what flowrun called it for its user.

        Returns:
            False if a container has been made of it, or the engine refuses for another reason.
        """
        image = self._found.get(image_id)
        tags = image.tags if image else ()
        try:
            for tag in tags:
                if tag.startswith(f"{BUILT}:") or tag == name:
                    self._engine.api.remove_image(tag)
        except UNREACHABLE:
            return False
        return True


def connect(variables: Mapping[str, str]) -> KeptImages:
    """Ask the engine that the caller's variables name for its images.

    Raises:
        EnvError: none answers.
    """
    engine = connect_engine(variables)
    try:
        rows = engine.api.images()
    except UNREACHABLE as error:
        raise EnvError(f"The images at {engine.host} can't be listed: {reason(error)}.") from error
    return KeptImages(engine, {str(row["Id"]): _image(row) for row in rows})


def _image(row: Mapping[str, object]) -> KeptImage:
    labels, tags, size = row.get("Labels"), row.get("RepoTags"), row.get("Size")
    return KeptImage(
        size_bytes=size if isinstance(size, int) else 0,
        is_ours=isinstance(labels, dict) and BUILT_LABEL in labels,
        tags=tuple(map(str, tags)) if isinstance(tags, list) else (),
    )
