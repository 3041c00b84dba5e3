"""Where artifacts were and where they are now."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote, urlsplit


class Roots:
    """The folders of runs and models that were copied, from old URI to new."""

    def __init__(self) -> None:
        self._new: dict[str, tuple[str, str]] = {}

    def __len__(self) -> int:
        """Give how many there are."""
        return len(self._new)

    def add(self, old: str, new: str) -> None:
        """Remember where a folder is copied to."""
        self._new[_normal(old)] = (old, new)

    def items(self) -> Iterator[tuple[str, str]]:
        """Give old and new URI of each folder."""
        return iter(self._new.values())

    def moved(self, uri: str) -> str:
        """Give where something is now; what lies in no copied folder stays where it is."""
        place, below = _normal(uri), ""
        while place:
            if place in self._new:
                return self._new[place][1] + below
            place, slash, name = place.rpartition("/")
            if not slash:
                break
            below = f"/{name}{below}"
        return uri


def _normal(uri: str) -> str:
    """Give one spelling for `/a/b`, `file:///a/b` and `file:/a/b/`."""
    parts = urlsplit(uri)
    if parts.scheme in {"", "file"}:
        return unquote(parts.path).rstrip("/") if parts.scheme else uri.rstrip("/")
    return uri.rstrip("/")
