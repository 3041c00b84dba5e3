"""The text of an image's lock: which image exactly a name stands for.

    # flowrun image lock 1
    image: python:3.12
    platform: linux/amd64
    digest: python@sha256:...

An image that no registry knows has a line `id:` in place of the digests.
"""

from __future__ import annotations

import re

from flowrun.errors import Problem, SpecError
from flowrun.valueclass import valueclass

TAG = "# flowrun image lock 1"
DIGEST = re.compile(r"(?P<repository>[\w./:-]+)@sha256:[0-9a-f]{64}")
_ID = re.compile(r"(sha256:)?[0-9a-f]{64}")
_PUBLIC = re.compile(r"^(index\.)?docker\.io/(library/)?|^library/")


@valueclass
class ImageLock:
    """A lock, taken apart."""

    image: str
    """As the project names it, or the name that flowrun gave what it built."""
    platform: str
    """`linux/amd64`."""
    digests: tuple[str, ...] = ()
    """`REPOSITORY@sha256:...`: what another machine can pull."""
    image_id: str = ""
    """Of an image without digests; only the engine that has it knows it."""

    def render(self) -> str:
        """Return the lock's text."""
        lines = [TAG, f"image: {self.image}", f"platform: {self.platform}"]
        lines += [f"digest: {digest}" for digest in sorted(self.digests)]
        lines += [f"id: {self.image_id}"] if not self.digests else []
        return "\n".join(lines) + "\n"

    @classmethod
    def parse(cls, text: str, label: str) -> ImageLock:
        """Take apart what `render` returned, or what somebody else wrote.

        Args:
            label: the lock's name in messages.

        Raises:
            SpecError: it is no such text.
        """
        tag, *lines = text.splitlines() or [""]
        found: dict[str, list[str]] = {"image": [], "platform": [], "digest": [], "id": []}
        for number, line in enumerate(lines, 2):
            key, colon, value = line.partition(": ")
            is_exact = {"digest": DIGEST, "id": _ID}.get(key, re.compile(r"\S+")).fullmatch(value)
            if key not in found or not colon or not is_exact:
                raise SpecError([Problem(label, number, 1, f"no lock of an image has {line!r}")])
            found[key].append(value)
        if tag != TAG or [len(found[key]) for key in ("image", "platform")] != [1, 1]:
            raise SpecError([Problem(label, 1, 1, "this is no lock of an image")])
        if len(found["id"]) != (0 if found["digest"] else 1):
            raise SpecError([Problem(label, 1, 1, "an image has a digest, or else one id")])
        image_id = found["id"][0] if found["id"] else ""
        return cls(found["image"][0], found["platform"][0], tuple(found["digest"]), image_id)

    def digests_of(self, image: str) -> list[str]:
        """Return the digests that the registry of `image` itself gave; none of other places."""
        wanted = repository_of(image)
        return [digest for digest in self.digests if repository_of(digest) == wanted]


def repository_of(image: str) -> str:
    """Return an image's name without tag and digest, in one spelling: a registry's port is no tag.

    Docker's own registry may be left out of a name.
    """
    name = image.partition("@")[0]
    repository, colon, tag = name.rpartition(":")
    return _PUBLIC.sub("", repository if colon and "/" not in tag else name)
