"""Delivers what is due, in the background: a thread for each webhook that has something to get.

So a slow receiver holds up its own deliveries and nothing else. The queue is the store's
(docs/decisions/0013-webhooks.md): what is not delivered when the server stops, is when it runs
again, and several servers of one store share the work.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from flowrun.errors import FlowrunError
from flowrun.registry.webhooks import Delivery, Webhook, WebhookStore
from flowrun.server.webhooks.post import Reply, post
from flowrun.server.webhooks.rules import WebhookRules
from flowrun.server.webhooks.seal import Sealer
from flowrun.server.webhooks.signing import Message, headers_of, message_of
from flowrun.valueclass import valueclass

MAX_AGE_MS = 24 * 60 * 60 * 1000
"""An event that is older when its turn comes is not told any more."""

_TRY_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
_MAX_PAUSE_S = 60.0
_MAX_ASKED_PAUSE_S = 3600.0
_MAX_THREADS = 64
_log = logging.getLogger("flowrun.server.webhooks")


@valueclass
class Webhooks:
    """A server's webhooks: where they are kept and how they are told."""

    store: WebhookStore
    rules: WebhookRules
    sealer: Sealer

    def send(self, webhook: Webhook, message: Message) -> Reply:
        """Sign a message and send it, once.

        Raises:
            FlowrunError: the URL is not allowed, or the secret can't be read.
            OSError: the receiver can't be reached.
        """
        secret = webhook.sealed_secret and self.sealer.open(webhook.sealed_secret)
        headers = headers_of(message, secret or None, int(time.time()))
        return post(webhook.url, message.body.encode(), headers, self.rules)


class Deliverer:
    """Looks for due deliveries and sends them, from `start` until `close`."""

    def __init__(
        self, webhooks: Webhooks, *, now: Callable[[], int], look_every_s: float = 1.0
    ) -> None:
        """Make one.

        Args:
            webhooks: what to deliver from.
            now: milliseconds since the epoch.
            look_every_s: how soon a new delivery is noticed; one look takes some 50 microseconds.
        """
        self._webhooks = webhooks
        self._now = now
        self._look_every_s = look_every_s
        self._closed = threading.Event()
        self._receivers: dict[str, threading.Thread] = {}
        self._thread = threading.Thread(target=self._look, name="webhooks", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self, grace_s: float = 5.0) -> None:
        """Begin no further delivery, and wait a while for those on their way."""
        self._closed.set()
        deadline = time.monotonic() + grace_s
        for thread in (self._thread, *self._receivers.values()):
            thread.join(max(0.0, deadline - time.monotonic()))

    def _look(self) -> None:
        while not self._closed.wait(self._look_every_s):
            try:
                due = self._webhooks.store.webhooks_with_due_deliveries()
            except FlowrunError as error:
                _log.warning("webhooks: %s", error)
                continue
            self._receivers = {
                key: thread for key, thread in self._receivers.items() if thread.is_alive()
            }
            for webhook_id in due:
                if webhook_id not in self._receivers and len(self._receivers) < _MAX_THREADS:
                    self._begin(webhook_id)

    def _begin(self, webhook_id: str) -> None:
        thread = threading.Thread(
            target=self._deliver_all, args=(webhook_id,), name="webhook", daemon=True
        )
        self._receivers[webhook_id] = thread
        thread.start()

    def _deliver_all(self, webhook_id: str) -> None:
        # Longer than a delivery with its redirects may take: else two would send the same one.
        lease_ms = int(self._webhooks.rules.timeout_s * 10_000)
        try:
            while not self._closed.is_set():
                delivery = self._webhooks.store.claim_delivery(webhook_id, lease_ms)
                if delivery is None:
                    return
                self._deliver(delivery)
        except FlowrunError as error:
            # Deleted meanwhile, or the store is away; what is left is found by the next look.
            _log.warning("webhook %s: %s", webhook_id, error)

    def _deliver(self, delivery: Delivery) -> None:
        problem, asked_s = self._try(delivery)
        store = self._webhooks.store
        if problem is None:
            store.finish_delivery(delivery.delivery_pk)
        elif asked_s is None or delivery.attempts > self._webhooks.rules.max_retries:
            _log.warning(
                "webhook %s: %s not delivered: %s", delivery.webhook.name, delivery.event, problem
            )
            store.finish_delivery(delivery.delivery_pk)
        else:
            store.postpone_delivery(delivery.delivery_pk, int(asked_s * 1000))

    def _try(self, delivery: Delivery) -> tuple[str | None, float | None]:
        """Give what went wrong, if anything, and the pause before the next try, if it may help."""
        rules = self._webhooks.rules
        pause_s = min(rules.first_pause_s * 2 ** (delivery.attempts - 1), _MAX_PAUSE_S)
        if self._now() - delivery.time_ms > MAX_AGE_MS:
            return "it is more than a day old", None
        try:
            reply = self._webhooks.send(delivery.webhook, message_of(delivery))
        except FlowrunError as error:
            return str(error), None
        except OSError as error:
            return f"{delivery.webhook.url} can't be reached: {error}", pause_s
        if reply.is_good:
            return None, None
        problem = f"{delivery.webhook.url} answered {reply.status}"
        if reply.status not in _TRY_AGAIN:
            return problem, None
        return problem, min(max(pause_s, reply.retry_after_s or 0.0), _MAX_ASKED_PAUSE_S)
