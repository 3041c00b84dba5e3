"""Webhooks, from MLflow's own client to a receiver, by a `flowrun server` as users start it."""

from __future__ import annotations

import stat

import pytest

from tests.support.server_process import server_process
from tests.support.space import Space
from tests.wire.test_genuine_client import run_client

pytestmark = pytest.mark.slow


def test_webhooks_are_made_tested_and_told(space: Space) -> None:
    allowed = {
        "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http",
        "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
    }
    with server_process(space, **allowed) as url:
        run_client("webhooks.py", url, space.path)
    key = space.home / "webhook-key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
