"""The tracking store in a SQLite database."""

from __future__ import annotations

from flowrun.tracking.sql.experiments import SqlExperiments
from flowrun.tracking.sql.logged_models import SqlLoggedModels
from flowrun.tracking.sql.run_data import SqlRunData
from flowrun.tracking.sql.runs import SqlRuns


class SqlTrackingStore(SqlExperiments, SqlRuns, SqlRunData, SqlLoggedModels):
    """A `TrackingStore`, put together from its parts; each keeps its promises in SQL."""

    def close(self) -> None:
        """Close the store's connections."""
        self._database.close()
