"""What the nouns of a REST registry share."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from flowrun.registry.rest.flowrun_releases import FlowrunReleases
from flowrun.registry.rest.releases import Releases
from flowrun.registry.rest.tagged_releases import TaggedReleases
from flowrun.tracking.rest.server import Server
from flowrun.tracking.store import TrackingStore


class RestRegistryPart:
    """The calls of one noun; put together in `RestRegistryStore`."""

    def __init__(
        self,
        server: Server,
        tracking: TrackingStore,
        *,
        now: Callable[[], int],
        new_id: Callable[[], str],
    ) -> None:
        """Use a server, which stays the caller's to close.

        Args:
            server: where the registry is.
            tracking: where the runs and logged models are that versions come from.
            now: milliseconds since the Unix epoch.
            new_id: 32 new hex digits at each call.
        """
        self._server = server
        self._tracking = tracking
        self._now = now
        self._new_id = new_id

    @property
    def _is_flowrun(self) -> bool:
        return self._server.flowrun_version is not None

    @property
    def _releases(self) -> Releases:
        if self._is_flowrun:
            return FlowrunReleases(self._server)
        return TaggedReleases(self._server, self._now, self._new_id)

    def _change(self, method: str, path: str, body: Mapping[str, object]) -> None:
        """Make a change that fails if it is made twice, so that it is not repeated in doubt."""
        self._server.do(method, path, body, is_repeatable=False)
