"""Where the server may send deliveries to, and how patiently; with MLflow's variables."""

from __future__ import annotations

from collections.abc import Mapping

from flowrun.errors import UsageError
from flowrun.valueclass import valueclass

_SCHEMES = "MLFLOW_WEBHOOK_ALLOWED_SCHEMES"
_PRIVATE = "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS"
_TIMEOUT = "MLFLOW_WEBHOOK_REQUEST_TIMEOUT"
_RETRIES = "MLFLOW_WEBHOOK_REQUEST_MAX_RETRIES"


@valueclass
class WebhookRules:
    """What holds for all deliveries of a server."""

    schemes: tuple[str, ...] = ("https",)
    allow_private: bool = False
    """True lets webhooks reach addresses of the server's own machine and network."""
    timeout_s: float = 30.0
    """For connecting, and for each wait for the receiver's answer."""
    max_retries: int = 3
    """After the first try."""
    first_pause_s: float = 1.0
    """Before the first retry; twice as long before each next, 60 s at most."""


def rules_from(variables: Mapping[str, str]) -> WebhookRules:
    """Read the rules from environment variables.

    Raises:
        UsageError: a value can't be read.
    """
    schemes = [text.strip() for text in variables.get(_SCHEMES, "https").split(",")]
    if not set(schemes) <= {"http", "https"}:
        raise UsageError(f"{_SCHEMES}={variables[_SCHEMES]}: only http and https can be allowed")
    return WebhookRules(
        schemes=tuple(schemes),
        allow_private=_flag(variables, _PRIVATE),
        timeout_s=_count(variables, _TIMEOUT, 30, least=1),
        max_retries=_count(variables, _RETRIES, 3, least=0),
    )


def _flag(variables: Mapping[str, str], name: str) -> bool:
    text = variables.get(name, "false").lower()
    if text not in {"true", "1", "false", "0"}:
        raise UsageError(f"{name}={variables[name]}: not true or false")
    return text in {"true", "1"}


def _count(variables: Mapping[str, str], name: str, default: int, *, least: int) -> int:
    text = variables.get(name, str(default))
    if not text.isdecimal() or int(text) < least:
        raise UsageError(f"{name}={text}: not a whole number of at least {least}")
    return int(text)
