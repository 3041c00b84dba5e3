"""What the server and the process that predicts say of one request: its body, and the answer."""

from __future__ import annotations

import json
from dataclasses import dataclass

JSON = "application/json"
TEXT = "text/plain"


@dataclass(frozen=True)
class Body:
    """What came."""

    content_type: str
    content: bytes


@dataclass(frozen=True)
class Reply:
    """An answer."""

    status: int
    content_type: str
    body: bytes


def problem(code: str, message: str, status: int = 400) -> Reply:
    """Give the answer for what can't be done, as MLflow's clients read it."""
    body = json.dumps({"error_code": code, "message": message}).encode()
    return Reply(status, JSON, body)
