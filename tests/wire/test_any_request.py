"""Requests of the form of MLflow's protocol with any content: answered as declared, never by 5xx.

The forms come from the genuine client's protos, the contents from schemathesis, which also breaks
the rules on purpose.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode

from flowrun.registry.webhooks import WebhookStore
from flowrun.server.messages import ANY_METHOD
from flowrun.server.openapi import openapi
from flowrun.server.routes import all_routes
from tests.support.serving import Served, serving

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parent / "scripts" / "fields.py"
OPERATIONS = {
    f"{route.method} {route.path.replace('...}', '}')}": route
    for route in all_routes()
    # What is below /ajax-api is, but for a few, what is below /api.
    if route.method != ANY_METHOD and not route.path.startswith("/ajax-api/")
}
EXAMPLES = settings(
    max_examples=8,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def fields(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The fields of each request of MLflow's protocol."""
    folder = tmp_path_factory.mktemp("fields")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", SCRIPT],
        cwd=folder,
        env={"PATH": os.defpath, "HOME": str(folder), "MLFLOW_DISABLE_TELEMETRY": "true"},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("server")) as served:
        yield served


@pytest.fixture(scope="module")
def known(server: Served) -> dict[str, list[str]]:
    """What there is in the store, by the name of the field that would name it."""
    run_id = server.new_run()
    model = server.post("logged-models", {"experiment_id": "0", "name": "m"}).json["model"]
    server.post("registered-models/create", {"name": "wine"})
    server.post("model-versions/create", {"name": "wine", "source": "s3://bucket/wine"})
    assert isinstance(server.registry, WebhookStore)
    server.registry.create_webhook("w-1", name="w", url="https://192.0.2.1/", events=())
    return {
        "run_id": [run_id],
        "run_ids": [run_id],
        "experiment_id": ["0"],
        "experiment_ids": ["0"],
        "model_id": [model["info"]["model_id"]],
        "name": ["wine"],
        "version": ["1"],
        "webhook_id": ["w-1"],
        "metric_key": ["loss"],
        "key": ["loss", "k"],
        "filter": ["metrics.loss > 1", "name = 'wine'", "tags.k LIKE '%'"],
        "order_by": ["metrics.loss", "name", "start_time DESC"],
    }


def with_known(schema: Any, known: dict[str, list[str]]) -> Any:  # noqa: ANN401 - JSON
    """Let each text that names something also be the name of what there is."""
    if schema.get("type") != "object" or "properties" not in schema:
        return schema
    made = {}
    for name, field in schema["properties"].items():
        text = field["items"] if field["type"] == "array" else field
        if name in known and text == {"type": "string"}:
            text = {"anyOf": [{"enum": known[name]}, {"type": "string"}]}
        elif text.get("type") == "object":
            text = with_known(text, known)
        made[name] = {**field, "items": text} if field["type"] == "array" else text
    return {"type": "object", "properties": made}


def described(
    operation: str, fields: dict[str, Any], known: dict[str, list[str]]
) -> dict[str, Any]:
    """Give the description of one operation, with the fields of its request."""
    method, path = operation.split(" ", 1)
    whole: Any = openapi([OPERATIONS[operation]])
    one = whole["paths"][path][method.lower()]
    request = with_known(fields.get(operation, {"properties": {}}), known)
    for parameter in one["parameters"]:
        if parameter["name"] in known:
            parameter["schema"] = {"enum": known[parameter["name"]]}
    if "application/json" in one.get("requestBody", {}).get("content", {}):
        one["requestBody"]["content"]["application/json"]["schema"] = request
    elif method == "GET":
        one["parameters"] += [
            {"name": name, "in": "query", "schema": schema}
            for name, schema in request["properties"].items()
        ]
    return dict(whole)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_any_request_is_answered_as_declared(
    operation: str, server: Served, fields: dict[str, Any], known: dict[str, list[str]]
) -> None:
    schema = schemathesis.openapi.from_dict(described(operation, fields, known))
    method, path = operation.split(" ", 1)
    found = schema[path][method]
    declared = {int(status) for status in found.definition.raw["responses"]}
    headers = {"Authorization": f"Bearer {server.token}"}

    def answered_as_declared(case: schemathesis.Case[Any]) -> None:
        response = case.call(base_url=server.url, headers=headers)
        assert response.status_code in declared, (case.as_curl_command(), response.text)
        if response.status_code >= 400 and response.status_code != 416:
            told = response.json().keys()
            assert {"error_code", "message"} <= told or (path == "/graphql" and "errors" in told)

    EXAMPLES(given(found.as_strategy(GenerationMode.POSITIVE))(answered_as_declared))()
    if found.definition.raw["parameters"] or "requestBody" in found.definition.raw:
        # Of wrong types, with fields missing; of what has no fields nothing can be wrong.
        EXAMPLES(given(found.as_strategy(GenerationMode.NEGATIVE))(answered_as_declared))()
