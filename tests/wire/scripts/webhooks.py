"""Webhooks with the genuine client, which also receives and checks what is delivered."""

import base64
import hashlib
import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from queue import Queue

import mlflow
from mlflow import MlflowClient
from mlflow.entities.webhook import WebhookEvent, WebhookStatus
from mlflow.exceptions import MlflowException

SECRET = "sesame"
received: Queue[tuple[str, dict[str, object]]] = Queue()


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        parts = (self.headers["X-MLflow-Delivery-Id"], self.headers["X-MLflow-Timestamp"])
        signed = f"{parts[0]}.{parts[1]}.{body.decode()}".encode()
        digest = hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()
        assert self.headers["X-MLflow-Signature"] == f"v1,{base64.b64encode(digest).decode()}"
        told = json.loads(body)
        received.put((f"{told['entity']}.{told['action']}", told["data"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


server = HTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_address[1]}/hook"
client = MlflowClient()

webhook = client.create_webhook(
    "hook",
    url,
    ["registered_model.created", "model_version.created", "prompt.created"],
    description="tells",
    secret=SECRET,
)
assert webhook.secret is None
assert webhook.status == WebhookStatus.ACTIVE
assert [item.webhook_id for item in client.list_webhooks()] == [webhook.webhook_id]
read = client.get_webhook(webhook.webhook_id)
assert (read.name, read.url, read.description) == ("hook", url, "tells")
assert set(read.events) == set(webhook.events)

result = client.test_webhook(webhook.webhook_id, "prompt.created")
assert (result.success, result.response_status) == (True, 204), result.error_message
assert received.get(timeout=10)[0] == "prompt.created"

client.create_registered_model("wine", tags={"a": "1"}, description="red")
event, data = received.get(timeout=20)
assert event == "registered_model.created"
assert data == {"name": "wine", "tags": {"a": "1"}, "description": "red"}
mlflow.genai.register_prompt("greet", "Hello {{name}}")
assert received.get(timeout=20)[0] == "prompt.created"

changed = client.update_webhook(
    webhook.webhook_id, status="DISABLED", events=[WebhookEvent.from_str("prompt.created")]
)
assert changed.status == WebhookStatus.DISABLED
assert [str(event) for event in changed.events] == ["prompt.created"]
client.delete_webhook(webhook.webhook_id)
assert client.list_webhooks() == []
try:
    client.get_webhook(webhook.webhook_id)
except MlflowException as error:
    assert error.error_code == "RESOURCE_DOES_NOT_EXIST"
else:
    raise AssertionError("a deleted webhook is found")
print("all good")
