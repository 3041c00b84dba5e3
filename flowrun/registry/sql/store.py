"""The registry in a SQL database, the same as the tracking store's."""

from __future__ import annotations

from flowrun.registry.sql.models import SqlRegisteredModels
from flowrun.registry.sql.requests import SqlPromotionRequests
from flowrun.registry.sql.versions import SqlModelVersions
from flowrun.registry.sql.webhooks import SqlWebhooks


class SqlRegistryStore(SqlRegisteredModels, SqlModelVersions, SqlPromotionRequests, SqlWebhooks):
    """A `RegistryStore` and a `WebhookStore`; each part keeps its promises in SQL."""

    keeps_requests = True

    def close(self) -> None:
        """Close the registry's connections; the tracking store stays open."""
        self._database.close()
