from __future__ import annotations

import pytest

from flowrun.errors import UsageError
from flowrun.server.webhooks.rules import WebhookRules, rules_from


def test_rules_are_strict_unless_variables_say_otherwise() -> None:
    assert rules_from({}) == WebhookRules(("https",), allow_private=False)
    assert rules_from(
        {
            "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "https, http",
            "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
            "MLFLOW_WEBHOOK_REQUEST_TIMEOUT": "5",
            "MLFLOW_WEBHOOK_REQUEST_MAX_RETRIES": "0",
        }
    ) == WebhookRules(("https", "http"), allow_private=True, timeout_s=5, max_retries=0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MLFLOW_WEBHOOK_ALLOWED_SCHEMES", "file"),
        ("MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS", "maybe"),
        ("MLFLOW_WEBHOOK_REQUEST_TIMEOUT", "0"),
        ("MLFLOW_WEBHOOK_REQUEST_MAX_RETRIES", "-1"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"{name}={value}: "):
        rules_from({name: value})
