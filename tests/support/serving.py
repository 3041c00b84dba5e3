"""A real server over a real store on a loopback port, and a plain caller of it.

with serving(tmp_path) as server:
    answer = server.post("runs/create", {"experiment_id": "0"})
    assert answer.status == 200
"""

from __future__ import annotations

import http.client
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from flowrun.registry.store import RegistryStore
from flowrun.registry.uri import open_registry_store
from flowrun.registry.webhooks import WebhookStore
from flowrun.server.access import Access
from flowrun.server.app import create_app
from flowrun.server.asgi import ASGIApp
from flowrun.server.loopback import LoopbackServer
from flowrun.server.webhooks.deliver import Webhooks
from flowrun.server.webhooks.rules import WebhookRules
from flowrun.server.webhooks.seal import Sealer
from flowrun.tracking.store import TrackingStore
from flowrun.tracking.trace_store import TraceStore
from flowrun.tracking.trace_uri import open_trace_store
from flowrun.tracking.uri import open_tracking_store

TOKEN = "secret-token"
KEY = "c2VjcmV0LWtleS1mb3Itd2ViaG9va3Mtb2YtdGVzdHM="


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - JSON
        """The body, read as JSON."""
        return json.loads(self.body)


def ask(
    url: str,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send one request to a server, on a connection of its own."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    try:
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status, found, response.read())
    finally:
        connection.close()


@dataclass(frozen=True)
class Served:
    """A running server and what is behind it."""

    url: str
    token: str | None
    tracking: TrackingStore
    registry: RegistryStore
    traces: TraceStore
    artifacts: Path

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request, with the token unless the headers say otherwise."""
        sent = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        sent |= headers or {}
        return ask(self.url, method, path, body, {k: v for k, v in sent.items() if v})

    def get(self, path: str, /, **query: object) -> Answer:
        """GET a path below /api/2.0/mlflow/."""
        return self.call("GET", f"/api/2.0/mlflow/{path}?{urlencode(query, doseq=True)}")

    def post(self, path: str, body: object, method: str = "POST") -> Answer:
        """Send JSON to a path below /api/2.0/mlflow/."""
        content = json.dumps(body).encode()
        kind = {"Content-Type": "application/json"}
        return self.call(method, f"/api/2.0/mlflow/{path}", content, kind)

    def new_run(self, **fields: object) -> str:
        """Start a run in the default experiment and give its id."""
        answer = self.post("runs/create", {"experiment_id": "0", **fields})
        assert answer.status == 200, answer.body
        return str(answer.json["run"]["info"]["run_id"])


@contextmanager
def serving(
    folder: Path,
    token: str | None = TOKEN,
    prefix: str = "",
    store_uri: str | None = None,
    rules: WebhookRules = WebhookRules(),  # noqa: B008 - frozen
    now: Callable[[], int] | None = None,
) -> Iterator[Served]:
    """Serve a store, by default a new one in the folder, until the end of the block."""
    now = now or _now_ms
    uri = store_uri or f"sqlite:///{folder / 'flowrun.db'}"
    tracking = open_tracking_store(uri, artifact_root="mlflow-artifacts:/", now=now, new_id=_new_id)
    registry = open_registry_store(uri, now=now, tracking=tracking)
    assert isinstance(registry, WebhookStore)
    webhooks = Webhooks(registry, rules, Sealer(lambda: KEY))
    traces = open_trace_store(uri, now=now, new_id=_new_id)
    artifacts = folder / "artifacts"
    artifacts.mkdir(exist_ok=True)

    def make_app() -> ASGIApp:
        return create_app(
            tracking=tracking,
            registry=registry,
            artifacts_destination=str(artifacts),
            traces=traces,
            access=Access(token=token),
            prefix=prefix,
            webhooks=webhooks,
        )

    server = LoopbackServer(make_app)
    try:
        yield Served(server.url + prefix, token, tracking, registry, traces, artifacts)
    finally:
        server.close()
        traces.close()
        registry.close()
        tracking.close()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _new_id() -> str:
    return os.urandom(16).hex()
