from __future__ import annotations

from collections.abc import Iterator

import pytest

from flowrun.server.webhooks.rules import WebhookRules
from tests.support.receiver import Said, receiving
from tests.support.serving import Served, serving

SEE = " See the API docs for more information about request parameters."
CREATED = [{"entity": "REGISTERED_MODEL", "action": "CREATED"}]
RULES = WebhookRules(schemes=("http", "https"), allow_private=True, timeout_s=5)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("server"), rules=RULES) as served:
        yield served


def make(server: Served, **fields: object) -> str:
    body = {"name": "hook", "url": "http://127.0.0.1:9/", "events": CREATED, **fields}
    answer = server.post("webhooks", body)
    assert answer.status == 200, answer.body
    return str(answer.json["webhook"]["webhook_id"])


def test_a_webhook_looks_as_mlflow_shows_it_and_never_tells_its_secret(server: Served) -> None:
    webhook_id = make(server, secret="sesame", description="d")
    answer = server.get(f"webhooks/{webhook_id}")
    webhook = answer.json["webhook"]
    assert webhook == {
        "webhook_id": webhook_id,
        "name": "hook",
        "description": "d",
        "url": "http://127.0.0.1:9/",
        "events": CREATED,
        "status": "ACTIVE",
        "creation_timestamp": webhook["creation_timestamp"],
        "last_updated_timestamp": webhook["creation_timestamp"],
    }
    assert b"sesame" not in answer.body + server.get("webhooks").body


def test_a_secret_is_encrypted_in_the_store(server: Served) -> None:
    make(server, secret="open sesame")
    for path in server.artifacts.parent.glob("flowrun.db*"):
        assert b"open sesame" not in path.read_bytes()


def test_an_update_changes_what_is_given(server: Served) -> None:
    webhook_id = make(server, description="d")
    events = [{"entity": 5, "action": 1}]  # by number: PROMPT, CREATED
    body = {"status": "DISABLED", "events": events, "description": ""}
    webhook = server.post(f"webhooks/{webhook_id}", body, "PATCH").json["webhook"]
    assert webhook["status"] == "DISABLED"
    assert webhook["events"] == [{"entity": "PROMPT", "action": "CREATED"}]
    assert "description" not in webhook
    assert webhook["name"] == "hook"


def test_a_deleted_webhook_is_gone(server: Served) -> None:
    webhook_id = make(server)
    assert server.call("DELETE", f"/api/2.0/mlflow/webhooks/{webhook_id}").json == {}
    for answer in (
        server.get(f"webhooks/{webhook_id}"),
        server.post(f"webhooks/{webhook_id}", {}, "PATCH"),
        server.post(f"webhooks/{webhook_id}/test", {}),
        server.call("DELETE", f"/api/2.0/mlflow/webhooks/{webhook_id}"),
    ):
        assert answer.status == 404
        assert answer.json == {
            "error_code": "RESOURCE_DOES_NOT_EXIST",
            "message": f"Webhook with ID {webhook_id} not found.",
        }


def test_webhooks_are_listed_in_pages(server: Served) -> None:
    made = {make(server) for _ in range(3)}
    found, token = set(), ""
    while True:
        page = server.get("webhooks", max_results=2, page_token=token).json
        found |= {webhook["webhook_id"] for webhook in page["webhooks"]}
        token = page.get("next_page_token", "")
        if not token:
            break
    assert made <= found


def test_a_test_sends_an_example_and_tells_the_answer(server: Served) -> None:
    with receiving(lambda _: Said(201, body=b"got it")) as receiver:
        webhook_id = make(server, url=receiver.url, secret="sesame")
        answer = server.post(f"webhooks/{webhook_id}/test", {})
        event = {"event": {"entity": "PROMPT", "action": "CREATED"}}
        server.post(f"webhooks/{webhook_id}/test", event)
    assert answer.json == {
        "result": {"success": True, "response_status": 201, "response_body": "got it"}
    }
    first, second = receiver.got
    assert b'"name": "example_model"' in first.body
    assert b'"name": "example_prompt"' in second.body
    assert first.headers["x-mlflow-signature"].startswith("v1,")


def test_a_test_that_fails_says_why(server: Served) -> None:
    with receiving(lambda _: Said(500, body=b"ouch")) as receiver:
        webhook_id = make(server, url=receiver.url)
        result = server.post(f"webhooks/{webhook_id}/test", {}).json["result"]
        assert result == {"success": False, "response_status": 500, "response_body": "ouch"}
    result = server.post(f"webhooks/{webhook_id}/test", {}).json["result"]
    assert result["success"] is False
    assert "refused" in result["error_message"]


REFUSED: dict[str, tuple[dict[str, object], str]] = {
    "no name": ({"name": ""}, f"Missing value for required parameter 'name'.{SEE}"),
    "no url": ({"url": ""}, f"Missing value for required parameter 'url'.{SEE}"),
    "events that are none": (
        {"events": []},
        "Webhook events must be a non-empty list of WebhookEvent objects.",
    ),
    "events of a wrong type": (
        {"events": "x"},
        "Invalid value \"x\" for parameter 'events' supplied:  "
        f"Hint: Value was of type 'str'.{SEE}",
    ),
    "a long name": (
        {"name": "x" * 64},
        f"Webhook name '{'x' * 64}' is invalid. It must start and end with a letter or digit, "
        "be at most 63 characters long, and contain only letters, digits, dots (.), "
        "underscores (_), and hyphens (-).",
    ),
    "a name with a slash": (
        {"name": "a/b"},
        "Webhook name 'a/b' is invalid. It must start and end with a letter or digit, "
        "be at most 63 characters long, and contain only letters, digits, dots (.), "
        "underscores (_), and hyphens (-).",
    ),
    "a scheme that is not allowed": (
        {"url": "ftp://example.org"},
        "Invalid webhook URL scheme: 'ftp'. Allowed schemes are: http, https.",
    ),
    "a long url": (
        {"url": "https://e.org/" + "x" * 487},
        "'url' exceeds the maximum length of 500 characters (it has 501).",
    ),
    "a long description": (
        {"description": "x" * 1001},
        "'description' exceeds the maximum length of 1000 characters (it has 1001).",
    ),
    "a long secret": (
        {"secret": "x" * 701},
        "'secret' exceeds the maximum length of 700 characters (it has 701).",
    ),
    "a status that is none": (
        {"status": "ASLEEP"},
        "Invalid webhook status 'ASLEEP'. It must be one of ACTIVE, DISABLED.",
    ),
}


@pytest.mark.parametrize(("fields", "message"), REFUSED.values(), ids=REFUSED)
def test_a_bad_webhook_is_refused_in_words(
    fields: dict[str, object], message: str, server: Served
) -> None:
    body = {"name": "hook", "url": "http://127.0.0.1:9/", "events": CREATED, **fields}
    answer = server.post("webhooks", body)
    assert answer.status == 400
    assert answer.json == {"error_code": "INVALID_PARAMETER_VALUE", "message": message}


@pytest.mark.parametrize(
    "event",
    [
        {"entity": "REGISTERED_MODEL", "action": "DELETED"},
        {"entity": "BUDGET_POLICY", "action": "EXCEEDED"},
        {"entity": 99, "action": 1},
        {"entity": "X", "action": "Y"},
    ],
)
def test_an_event_that_never_happens_is_refused(event: dict[str, object], server: Served) -> None:
    body = {"name": "hook", "url": "http://127.0.0.1:9/", "events": [event]}
    answer = server.post("webhooks", body)
    assert (answer.status, answer.json["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert "The events of this server are: registered_model.created, " in answer.json["message"]


def test_an_address_inside_is_refused_unless_it_is_allowed(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with serving(tmp_path_factory.mktemp("strict")) as server:
        body = {"name": "hook", "url": "https://169.254.169.254/", "events": CREATED}
        answer = server.post("webhooks", body)
        assert answer.status == 400
        assert "must not resolve to a non-public IP address" in answer.json["message"]
