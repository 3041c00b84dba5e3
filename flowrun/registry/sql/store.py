"""The registry in a SQL database, the same as the tracking store's."""

from __future__ import annotations

from flowrun.registry.sql.models import SqlRegisteredModels
from flowrun.registry.sql.versions import SqlModelVersions


class SqlRegistryStore(SqlRegisteredModels, SqlModelVersions):
    """A `RegistryStore`, put together from its parts; each keeps its promises in SQL."""

    def close(self) -> None:
        """Close the registry's connections; the tracking store stays open."""
        self._database.close()
