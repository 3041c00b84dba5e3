"""The tracking store in a SQL database."""

from __future__ import annotations

from flowrun.tracking.pace import Pace
from flowrun.tracking.sql.experiments import SqlExperiments
from flowrun.tracking.sql.histories import SqlHistories
from flowrun.tracking.sql.logged_models import SqlLoggedModels
from flowrun.tracking.sql.new_runs import SqlNewRuns
from flowrun.tracking.sql.run_data import SqlRunData
from flowrun.tracking.sql.runs import SqlRuns


class SqlTrackingStore(
    SqlExperiments, SqlNewRuns, SqlRuns, SqlRunData, SqlHistories, SqlLoggedModels
):
    """A `TrackingStore`, put together from its parts; each keeps its promises in SQL."""

    @property
    def pace(self) -> Pace:
        """What its calls do to the thread that they run on: as the database's."""
        return self._database.pace

    def close(self) -> None:
        """Close the store's connections."""
        self._database.close()
