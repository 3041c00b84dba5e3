"""What the nouns of a REST store share: the server, and how a page is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from flowrun.tracking.entities import Page
from flowrun.tracking.fields import Fields
from flowrun.tracking.rest.server import Server

T = TypeVar("T")


class RestPart:
    """The calls of one noun; put together in `RestTrackingStore`."""

    def __init__(self, server: Server, *, now: Callable[[], int]) -> None:
        """Use a server, which stays the caller's to close.

        Args:
            server: where the store is.
            now: milliseconds since the Unix epoch; MLflow's clients say when a run began.
        """
        self._server = server
        self._now = now

    def _change(self, path: str, body: Mapping[str, object]) -> None:
        """Make a change that fails if it is made twice, so that it is not repeated in doubt."""
        self._server.do("POST", path, body, is_repeatable=False)


def page_from(name: str, read: Callable[[Fields], T]) -> Callable[[Fields], Page[T]]:
    """Give what reads an answer with a list called `name` and perhaps a token."""

    def page(fields: Fields) -> Page[T]:
        items = tuple(read(item) for item in fields.objects(name))
        return Page(items, fields.text_or_none("next_page_token") or None)

    return page
