"""Webhooks and their deliveries in SQL."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from flowrun.errors import NotFoundError
from flowrun.registry.sql.part import RegistryPart
from flowrun.registry.webhooks import Delivery, Webhook, WebhookEvent, WebhookStatus
from flowrun.tracking import checks, limits
from flowrun.tracking.entities import Page
from flowrun.tracking.paging import offset_of, page_of
from flowrun.tracking.sql.database import Connection
from flowrun.tracking.sql.part import marks

_COLUMNS = (
    "webhook_id, name, url, creation_time_ms, last_update_time_ms, description, status,"
    " sealed_secret"
)
_INSERT = f"""
    INSERT INTO webhooks ({_COLUMNS}) VALUES (:webhook_id, :name, :url, :now, :updated,
        :description, :status, :sealed_secret)
"""
_UPDATE = """
    UPDATE webhooks SET
        name = COALESCE(:name, name),
        url = COALESCE(:url, url),
        description = COALESCE(:description, description),
        sealed_secret = COALESCE(:sealed_secret, sealed_secret),
        status = COALESCE(:status, status),
        last_update_time_ms = :now
    WHERE webhook_id = :webhook_id
"""
_DELETE = "DELETE FROM webhooks WHERE webhook_id = :webhook_id RETURNING webhook_id"
_SELECT = f"SELECT {_COLUMNS} FROM webhooks WHERE webhook_id = :webhook_id"
_SELECT_PAGE = f"""
    SELECT {_COLUMNS} FROM webhooks ORDER BY creation_time_ms DESC, webhook_id
    LIMIT :limit OFFSET :offset
"""
_INSERT_EVENT = """
    INSERT INTO webhook_events (webhook_id, event) VALUES (?, ?) ON CONFLICT DO NOTHING
"""
_DELETE_EVENTS = "DELETE FROM webhook_events WHERE webhook_id = :webhook_id"
_SELECT_DUE = """
    SELECT DISTINCT webhook_id FROM webhook_deliveries JOIN webhooks USING (webhook_id)
    WHERE next_time_ms <= :now AND status = 'ACTIVE'
"""
_CLAIM = """
    UPDATE webhook_deliveries SET attempts = attempts + 1, next_time_ms = :until
    WHERE delivery_pk = (
        SELECT MIN(delivery_pk) FROM webhook_deliveries
        WHERE webhook_id = :webhook_id AND next_time_ms <= :now
    ) RETURNING delivery_pk, event, data, time_ms, attempts
"""
_FINISH = "DELETE FROM webhook_deliveries WHERE delivery_pk = :delivery_pk"
_POSTPONE = """
    UPDATE webhook_deliveries SET next_time_ms = :next WHERE delivery_pk = :delivery_pk
"""


class SqlWebhooks(RegistryPart):
    """The webhooks of `SqlRegistryStore`; what each call promises is told in the protocol."""

    def create_webhook(
        self,
        webhook_id: str,
        *,
        name: str,
        url: str,
        events: Sequence[WebhookEvent],
        description: str = "",
        sealed_secret: str | None = None,
        status: WebhookStatus = WebhookStatus.ACTIVE,
    ) -> Webhook:
        """Make one."""
        now = self._now()
        values = {"webhook_id": webhook_id, "name": name, "url": url, "description": description}
        secret = {"sealed_secret": sealed_secret}
        with self._database.write() as connection:
            connection.execute(
                _INSERT, {**values, **secret, "status": status, "now": now, "updated": now}
            )
            connection.executemany(_INSERT_EVENT, [(webhook_id, event) for event in events])
            return _read(connection, webhook_id)

    def get_webhook(self, webhook_id: str) -> Webhook:
        """Give one."""
        with self._database.read() as connection:
            return _read(connection, webhook_id)

    def list_webhooks(
        self, *, max_results: int = 100, page_token: str | None = None
    ) -> Page[Webhook]:
        """Give all, newest first."""
        checks.check_max_results(max_results, limits.MAX_WEBHOOK_RESULTS)
        offset = offset_of(page_token)
        with self._database.read() as connection:
            where = {"limit": max_results + 1, "offset": offset}
            found = _webhooks(connection, connection.execute(_SELECT_PAGE, where).fetchall())
        return page_of(found, offset, max_results)

    def update_webhook(
        self,
        webhook_id: str,
        *,
        name: str | None = None,
        url: str | None = None,
        events: Sequence[WebhookEvent] = (),
        description: str | None = None,
        sealed_secret: str | None = None,
        status: WebhookStatus | None = None,
    ) -> Webhook:
        """Change what is given."""
        values = {"webhook_id": webhook_id, "name": name, "url": url, "description": description}
        secret = {"sealed_secret": sealed_secret, "status": status}
        with self._database.write() as connection:
            connection.execute(_UPDATE, {**values, **secret, "now": self._now()})
            if events:
                connection.execute(_DELETE_EVENTS, {"webhook_id": webhook_id})
                connection.executemany(_INSERT_EVENT, [(webhook_id, event) for event in events])
            return _read(connection, webhook_id)

    def delete_webhook(self, webhook_id: str) -> None:
        """Remove one; its events and deliveries go with it, by their foreign keys."""
        with self._database.write() as connection:
            if not connection.execute(_DELETE, {"webhook_id": webhook_id}).fetchone():
                raise _not_found(webhook_id)

    def webhooks_with_due_deliveries(self) -> list[str]:
        """Give the ids of the active webhooks that something should be told now."""
        with self._database.read() as connection:
            rows = connection.execute(_SELECT_DUE, {"now": self._now()}).fetchall()
        return [webhook_id for (webhook_id,) in rows]

    def claim_delivery(self, webhook_id: str, lease_ms: int) -> Delivery | None:
        """Give the oldest delivery that is due to a webhook."""
        now = self._now()
        where = {"webhook_id": webhook_id, "now": now, "until": now + lease_ms}
        with self._database.write(webhook_id) as connection:
            row = connection.execute(_CLAIM, where).fetchone()
            if row is None:
                return None
            pk, event, data, time_ms, attempts = row
            webhook = _read(connection, webhook_id)
        return Delivery(pk, webhook, WebhookEvent(event), data, time_ms, attempts)

    def finish_delivery(self, delivery_pk: int) -> None:
        """Forget a delivery."""
        with self._database.write() as connection:
            connection.execute(_FINISH, {"delivery_pk": delivery_pk})

    def postpone_delivery(self, delivery_pk: int, delay_ms: int) -> None:
        """Let a delivery be due again later."""
        with self._database.write() as connection:
            values = {"delivery_pk": delivery_pk, "next": self._now() + delay_ms}
            connection.execute(_POSTPONE, values)


def _read(connection: Connection, webhook_id: str) -> Webhook:
    rows = connection.execute(_SELECT, {"webhook_id": webhook_id}).fetchall()
    if not rows:
        raise _not_found(webhook_id)
    return _webhooks(connection, rows)[0]


def _webhooks(
    connection: Connection,
    rows: Sequence[tuple[str, str, str, int, int, str, str, str | None]],
) -> list[Webhook]:
    events = _events(connection, [row[0] for row in rows])
    return [
        Webhook(
            webhook_id=webhook_id,
            name=name,
            url=url,
            events=tuple(sorted(events[webhook_id])),
            creation_time_ms=created,
            last_update_time_ms=updated,
            description=description,
            status=WebhookStatus(status),
            sealed_secret=sealed_secret,
        )
        for webhook_id, name, url, created, updated, description, status, sealed_secret in rows
    ]


def _events(
    connection: Connection, webhook_ids: Iterable[str]
) -> defaultdict[str, list[WebhookEvent]]:
    ids = list(webhook_ids)
    events: defaultdict[str, list[WebhookEvent]] = defaultdict(list)
    for webhook_id, event in connection.execute(
        f"SELECT webhook_id, event FROM webhook_events WHERE webhook_id IN ({marks(ids)})", ids
    ):
        events[webhook_id].append(WebhookEvent(event))
    return events


def _not_found(webhook_id: str) -> NotFoundError:
    return NotFoundError(f"Webhook with ID {webhook_id} not found.")
