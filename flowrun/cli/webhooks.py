"""The webhooks of a server: their rules and key from the settings, delivered while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flowrun.cli.kept import kept_text
from flowrun.engine.services import Home
from flowrun.registry.store import RegistryStore
from flowrun.registry.webhooks import WebhookStore
from flowrun.server.webhooks.deliver import Deliverer, Webhooks
from flowrun.server.webhooks.rules import rules_from
from flowrun.server.webhooks.seal import KEY_VARIABLE, Sealer, new_key
from flowrun.settings import Settings
from flowrun.stores import now_ms


@contextmanager
def delivering(settings: Settings, registry: RegistryStore) -> Iterator[Webhooks | None]:
    """Deliver to a registry's webhooks until the end of the block; None if it keeps none."""
    if not isinstance(registry, WebhookStore):
        yield None
        return
    webhooks = Webhooks(registry, rules_from(settings.variables), Sealer(lambda: _key(settings)))
    deliverer = Deliverer(webhooks, now=now_ms)
    deliverer.start()
    try:
        yield webhooks
    finally:
        deliverer.close()


def _key(settings: Settings) -> str:
    """Give the key of webhooks' secrets: a variable's, or one made at first use."""
    if given := settings.variables.get(KEY_VARIABLE):
        return given
    key, _ = kept_text(Home(settings.home).root / "webhook-key", new_key)
    return key
