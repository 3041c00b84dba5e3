"""The SQL registry keeps the promises of a store of webhooks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flowrun.registry.store import RegistryStore
from tests.contracts.webhook_store import (
    WebhookStoreContract,
    webhooks,  # noqa: F401 - a fixture
)
from tests.support.stores import registry_store, tracking_store


@pytest.fixture
def store(store_uri: str) -> Iterator[RegistryStore]:
    with tracking_store(store_uri) as tracking, registry_store(store_uri, tracking) as store:
        yield store


class TestSqlWebhooks(WebhookStoreContract):
    """Every promise, on each database."""
