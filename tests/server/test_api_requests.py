"""Promotion requests over HTTP: who decides, and that nothing that fails is tried again."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowrun.registry.approval import Rule, rule_tag
from tests.support.serving import TOKEN, Answer, Served, serving

MOVE = {"name": "wine", "version": "1", "stage": "Production", "archive_existing_versions": True}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path) as served:
        served.registry.create_registered_model("wine")
        served.registry.create_model_version("wine", "s3://b/x")
        yield served


def _post(server: Served, what: str, body: dict[str, object], user: str = "") -> Answer:
    headers = {"Content-Type": "application/json"}
    if user:
        secret = base64.b64encode(f"{user}:{TOKEN}".encode()).decode()
        headers["Authorization"] = f"Basic {secret}"
    path = f"/api/flowrun/1.0/promotion-requests/{what}"
    return server.call("POST", path, json.dumps(body).encode(), headers)


def _asked(server: Served, user: str = "") -> str:
    answer = _post(server, "create", {**MOVE, "user_id": "told"}, user)
    assert answer.status == 200, answer.body
    return str(answer.json["promotion_request"]["request_id"])


def test_whom_the_server_knows_goes_before_what_a_caller_says(server: Served) -> None:
    request_id = _asked(server, "ada")
    answer = _post(server, "approve", {"request_id": request_id, "user_id": "ada"}, "bob")
    decided = answer.json["promotion_request"]
    assert (decided["user_id"], decided["decided_by"]) == ("ada", "bob")
    assert server.registry.get_model_version("wine", "1").stage == "Production"


def test_nobody_approves_what_he_asked_for_by_another_name(server: Served) -> None:
    rule = Rule(by_another=True)
    server.registry.set_registered_model_tag("wine", rule_tag("Production"), rule.text)
    request_id = _asked(server, "ada")
    answer = _post(server, "approve", {"request_id": request_id, "user_id": "bob"}, "ada")
    assert (answer.status, answer.json["error_code"]) == (403, "PERMISSION_DENIED")
    moved = server.post("model-versions/transition-stage", {**MOVE, "stage": "Production"})
    assert (moved.status, moved.json["error_code"]) == (403, "PERMISSION_DENIED")
    assert moved.json["message"].startswith(
        "Production of 'wine' is entered with an approval only (by anybody but the one who asks)"
    )


REFUSED: dict[str, tuple[str, dict[str, object], int, str]] = {
    "no such request": ("approve", {"request_id": "99"}, 404, "RESOURCE_DOES_NOT_EXIST"),
    "no number": ("reject", {"request_id": "x"}, 400, "INVALID_PARAMETER_VALUE"),
    "no id": ("reject", {}, 400, "INVALID_PARAMETER_VALUE"),
    "nowhere": ("create", {"name": "wine", "version": "1"}, 400, "INVALID_PARAMETER_VALUE"),
    "no such version": ("create", {**MOVE, "version": "7"}, 404, "RESOURCE_DOES_NOT_EXIST"),
    "no such stage": ("create", {**MOVE, "stage": "Live"}, 400, "INVALID_PARAMETER_VALUE"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_can_not_be_asked_or_decided_is_refused_for_good(server: Served, case: str) -> None:
    what, body, status, code = REFUSED[case]
    answer = _post(server, what, body)
    assert (answer.status, answer.json["error_code"]) == (status, code)


def test_a_second_decision_is_refused_for_good(server: Served) -> None:
    request_id = _asked(server)
    assert _post(server, "reject", {"request_id": request_id, "comment": "no"}).status == 200
    answer = _post(server, "approve", {"request_id": request_id})
    assert (answer.status, answer.json["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert answer.json["message"] == "the request that wine/1 be Production was rejected: no"


def test_requests_are_listed_by_model_and_status(server: Served) -> None:
    request_id = _asked(server)
    path = "/api/flowrun/1.0/promotion-requests/list"
    found = server.call("GET", f"{path}?name=wine&status=pending").json["promotion_requests"]
    assert [each["request_id"] for each in found] == [request_id]
    assert server.call("GET", f"{path}?status=approved").json == {}
    assert server.call("GET", f"{path}?status=odd").status == 400
