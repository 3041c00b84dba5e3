"""The trace store in SQL, in the database of the tracking store."""

from __future__ import annotations

from flowrun.tracking.sql.assessments import SqlAssessments
from flowrun.tracking.sql.spans import SqlSpans
from flowrun.tracking.sql.trace_infos import SqlTraceInfos


class SqlTraceStore(SqlTraceInfos, SqlSpans, SqlAssessments):
    """A `TraceStore`, put together from its parts; each keeps its promises in SQL."""

    def close(self) -> None:
        """Close the store's connections; the tracking store stays open."""
        self._database.close()
