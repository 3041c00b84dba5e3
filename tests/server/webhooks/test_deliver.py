"""Deliveries over real connections, from a real store."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from flowrun.registry.store import RegistryStore
from flowrun.registry.uri import open_registry_store
from flowrun.registry.webhooks import WebhookEvent, WebhookStore
from flowrun.server.webhooks.deliver import MAX_AGE_MS, Deliverer, Webhooks
from flowrun.server.webhooks.rules import WebhookRules
from flowrun.server.webhooks.seal import Sealer, new_key
from flowrun.stores import now_ms
from tests.support.receiver import Received, Said, receiving
from tests.support.stores import tracking_store
from tests.support.waiting import until

QUICK = WebhookRules(
    schemes=("http",), allow_private=True, timeout_s=5, max_retries=2, first_pause_s=0.02
)
KEY = new_key()


@dataclass
class Room:
    """A registry with a webhook or more, and what delivers from it."""

    registry: RegistryStore
    webhooks: Webhooks

    def listen(self, url: str, webhook_id: str = "w") -> None:
        self.webhooks.store.create_webhook(
            webhook_id,
            name=webhook_id,
            url=url,
            events=tuple(WebhookEvent),
            sealed_secret=self.webhooks.sealer.seal("sesame"),
        )

    def waiting(self) -> int:
        found = 0
        for webhook in self.webhooks.store.list_webhooks().items:
            while self.webhooks.store.claim_delivery(webhook.webhook_id, 10**9):
                found += 1
        return found

    @contextmanager
    def delivering(self, now: Callable[[], int] = now_ms) -> Iterator[None]:
        deliverer = Deliverer(self.webhooks, now=now, look_every_s=0.01)
        deliverer.start()
        try:
            yield
        finally:
            deliverer.close()


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    path = tmp_path / "flowrun.db"
    with tracking_store(path, now=now_ms) as tracking:
        registry = open_registry_store(f"sqlite:///{path}", now=now_ms, tracking=tracking)
        assert isinstance(registry, WebhookStore)
        yield Room(registry, Webhooks(registry, QUICK, Sealer(lambda: KEY)))
        registry.close()


def answering(*answers: Said) -> Callable[[Received], Said]:
    """Give these answers one after the other, then the last for ever."""
    rest = list(answers)
    return lambda _: rest.pop(0) if len(rest) > 1 else rest[0]


def names(got: Sequence[Received]) -> list[str]:
    return [json.loads(received.body)["data"]["name"] for received in got]


def test_a_change_is_delivered_signed(room: Room) -> None:
    with receiving() as receiver, room.delivering():
        room.listen(receiver.url)
        room.registry.create_registered_model("wine")
        until(lambda: len(receiver.got) == 1)
    assert names(receiver.got) == ["wine"]
    assert receiver.got[0].headers["x-mlflow-signature"].startswith("v1,")
    assert room.waiting() == 0


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_receiver_that_is_not_well_is_asked_again(room: Room, status: int) -> None:
    answer = answering(Said(status), Said(status), Said())
    with receiving(answer) as receiver, room.delivering():
        room.listen(receiver.url)
        room.registry.create_registered_model("wine")
        until(lambda: len(receiver.got) == 3)
        until(lambda: room.webhooks.store.webhooks_with_due_deliveries() == [])
    assert len({received.headers["x-mlflow-delivery-id"] for received in receiver.got}) == 1
    assert room.waiting() == 0


def test_a_receiver_that_stays_ill_is_given_up_and_told_in_the_log(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.WARNING, "flowrun.server.webhooks"),
        receiving(answering(Said(500))) as receiver,
        room.delivering(),
    ):
        room.listen(receiver.url)
        room.registry.create_registered_model("wine")
        until(lambda: bool(caplog.records))
        assert [record.getMessage() for record in caplog.records] == [
            f"webhook w: registered_model.created not delivered: {receiver.url} answered 500"
        ]
    assert len(receiver.got) == 3
    assert room.waiting() == 0


def test_a_refusal_is_not_repeated(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    with receiving(answering(Said(404))) as receiver, room.delivering():
        room.listen(receiver.url)
        room.registry.create_registered_model("wine")
        until(lambda: bool(caplog.records))
    assert len(receiver.got) == 1
    assert room.waiting() == 0


def test_a_receiver_is_left_alone_as_long_as_it_asks(room: Room) -> None:
    answer = answering(Said(429, {"Retry-After": "3600"}), Said())
    with receiving(answer) as receiver, room.delivering():
        room.listen(receiver.url)
        room.registry.create_registered_model("wine")
        until(lambda: len(receiver.got) == 1)
        room.registry.create_registered_model("beer")
        until(lambda: len(receiver.got) == 2)
    # The first waits for its hour; what came after it did not have to.
    assert names(receiver.got) == ["wine", "beer"]


def test_a_slow_receiver_holds_up_nobody_else(room: Room) -> None:
    go_on = threading.Event()

    def slow(_: Received) -> Said:
        go_on.wait(20)
        return Said()

    with receiving(slow) as held, receiving() as quick, room.delivering():
        room.listen(held.url, "slow")
        room.listen(quick.url, "quick")
        for number in range(5):
            room.registry.create_registered_model(f"m{number}")
        until(lambda: len(quick.got) == 5)
        assert len(held.got) == 1
        go_on.set()
        until(lambda: len(held.got) == 5)
    assert names(held.got) == names(quick.got) == [f"m{number}" for number in range(5)]


def test_what_is_not_delivered_at_the_end_is_at_the_next_start(room: Room) -> None:
    with receiving() as receiver:
        room.listen(receiver.url)
        room.registry.create_registered_model("wine")
        with room.delivering():
            until(lambda: len(receiver.got) == 1)
    assert names(receiver.got) == ["wine"]


def test_several_servers_of_one_store_share_the_work(room: Room) -> None:
    with receiving() as receiver, room.delivering(), room.delivering():
        room.listen(receiver.url)
        for number in range(30):
            room.registry.create_registered_model(f"m{number:02}")
        until(lambda: len(receiver.got) >= 30)
        until(lambda: room.webhooks.store.webhooks_with_due_deliveries() == [])
    assert sorted(names(receiver.got)) == [f"m{number:02}" for number in range(30)]


def test_an_address_that_is_not_allowed_is_given_up_at_once(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    room.webhooks = replace(room.webhooks, rules=replace(QUICK, allow_private=False))
    with receiving() as receiver, room.delivering():
        room.listen(receiver.url)
        room.registry.create_registered_model("wine")
        until(lambda: bool(caplog.records))
        assert "must not resolve to a non-public IP address" in caplog.text
    assert receiver.got == []
    assert room.waiting() == 0


def test_a_secret_of_another_key_sends_nothing_unsigned(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    with receiving() as receiver:
        room.listen(receiver.url)
        room.webhooks = replace(room.webhooks, sealer=Sealer(new_key))
        with room.delivering():
            room.registry.create_registered_model("wine")
            until(lambda: bool(caplog.records))
        assert "encrypted with another key" in caplog.text
        assert "sesame" not in caplog.text
    assert receiver.got == []


def test_an_old_event_is_not_told(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    with receiving() as receiver:
        room.listen(receiver.url)
        room.registry.create_registered_model("wine")
        with room.delivering(now=lambda: now_ms() + MAX_AGE_MS + 1):
            until(lambda: bool(caplog.records))
        assert "it is more than a day old" in caplog.text
    assert receiver.got == []
    assert room.waiting() == 0
