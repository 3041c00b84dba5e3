"""What is sent when somebody tests a webhook: something of the form of the real thing."""

from __future__ import annotations

from collections.abc import Mapping

from flowrun.registry.webhooks import WebhookEvent

_MODEL, _PROMPT = {"name": "example_model"}, {"name": "example_prompt"}
_VERSION = {"version": "1"}
_KEY = {"key": "example_key"}
_VALUE = {"value": "example_value"}
_ALIAS = {"alias": "example_alias"}
_TAGS = {"tags": {"example_key": "example_value"}}

_REQUEST = {
    "request_id": "1",
    **_MODEL,
    **_VERSION,
    "to_stage": "Production",
    "alias": None,
    "requested_by": "example_user",
    "reason": "",
    "run_id": "abcd1234abcd5678",
}
_DECISION = {"decided_by": "example_approver", "comment": "An example comment"}

EXAMPLES: Mapping[WebhookEvent, Mapping[str, object]] = {
    WebhookEvent.MODEL_CREATED: {**_MODEL, **_TAGS, "description": "An example registered model"},
    WebhookEvent.VERSION_CREATED: {
        **_MODEL,
        **_VERSION,
        "source": "models:/123",
        "run_id": "abcd1234abcd5678",
        **_TAGS,
        "description": "An example model version",
    },
    WebhookEvent.VERSION_TAG_SET: {**_MODEL, **_VERSION, **_KEY, **_VALUE},
    WebhookEvent.VERSION_TAG_DELETED: {**_MODEL, **_VERSION, **_KEY},
    WebhookEvent.ALIAS_CREATED: {**_MODEL, **_ALIAS, **_VERSION},
    WebhookEvent.ALIAS_DELETED: {**_MODEL, **_ALIAS},
    WebhookEvent.PROMPT_CREATED: {**_PROMPT, **_TAGS, "description": "An example prompt"},
    WebhookEvent.PROMPT_VERSION_CREATED: {
        **_PROMPT,
        **_VERSION,
        "template": "Hello {{name}}!",
        **_TAGS,
        "description": "An example prompt version",
    },
    WebhookEvent.PROMPT_TAG_SET: {**_PROMPT, **_KEY, **_VALUE},
    WebhookEvent.PROMPT_TAG_DELETED: {**_PROMPT, **_KEY},
    WebhookEvent.PROMPT_VERSION_TAG_SET: {**_PROMPT, **_VERSION, **_KEY, **_VALUE},
    WebhookEvent.PROMPT_VERSION_TAG_DELETED: {**_PROMPT, **_VERSION, **_KEY},
    WebhookEvent.PROMPT_ALIAS_CREATED: {**_PROMPT, **_ALIAS, **_VERSION},
    WebhookEvent.PROMPT_ALIAS_DELETED: {**_PROMPT, **_ALIAS},
    WebhookEvent.STAGE_SET: {
        **_MODEL,
        **_VERSION,
        "from_stage": "Staging",
        "to_stage": "Production",
    },
    WebhookEvent.REQUEST_CREATED: _REQUEST,
    WebhookEvent.REQUEST_APPROVED: {**_REQUEST, **_DECISION},
    WebhookEvent.REQUEST_REJECTED: {**_REQUEST, **_DECISION},
}
