"""A tracking store that is somewhere else: `flowrun server` or MLflow's own."""

from __future__ import annotations

from flowrun.tracking.pace import Pace
from flowrun.tracking.rest.experiments import RestExperiments
from flowrun.tracking.rest.logged_models import RestLoggedModels
from flowrun.tracking.rest.runs import RestRuns


class RestTrackingStore(RestExperiments, RestRuns, RestLoggedModels):
    """The `TrackingStore` behind a server."""

    pace = Pace.BLOCKING

    def close(self) -> None:
        """Close the connections to the server."""
        self._server.close()
