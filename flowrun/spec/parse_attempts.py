"""`retries`, `backoff`, `retry_on` and `timeout`: how often a command is tried, and how long."""

from __future__ import annotations

import math
import signal

from flowrun.spec.durations import parse_duration_s
from flowrun.spec.fields import Fields
from flowrun.spec.problems import did_you_mean
from flowrun.spec.project import LOST, OUT_OF_MEMORY, TIMEOUT, Attempts, Backoff, Name
from flowrun.spec.yaml_nodes import MapNode, ScalarNode

ATTEMPT_KEYS = ("retries", "backoff", "retry_on", "timeout")
MAX_RETRIES = 100
MAX_EXIT_CODE = 255
_WORDS = (OUT_OF_MEMORY, LOST, TIMEOUT)
_SIGNALS = frozenset(each.name for each in signal.Signals)
_EXAMPLES = "30s, 10m or 2h"


def parse_attempts(fields: Fields) -> Attempts:
    """Return what a map says of attempts at its command; what it does not say is None."""
    timeout_s = parse_duration_s(fields, "timeout", _EXAMPLES)
    if timeout_s == 0:
        fields.refuse("timeout", f"'timeout' of {fields.what} must be more than 0")
    return Attempts(_retries(fields), _backoff(fields), _retry_on(fields), timeout_s)


def _retries(fields: Fields) -> int | None:
    entry = fields.entry("retries")
    if entry is None:
        return None
    value = entry.node.value if isinstance(entry.node, ScalarNode) else None
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_RETRIES:
        return value
    fields.problems.add(
        entry.node.mark, f"'retries' of {fields.what} must be a whole number, 0 to {MAX_RETRIES}"
    )
    return None


def _backoff(fields: Fields) -> Backoff | None:
    entry = fields.entry("backoff")
    if entry is None:
        return None
    if not isinstance(entry.node, MapNode):
        alone_s = parse_duration_s(fields, "backoff", _EXAMPLES)
        return None if alone_s is None else _backoff_of(alone_s, None, None)
    inner = fields.fields("backoff", f"backoff of {fields.what}")
    if inner is None:
        return None
    first_s = parse_duration_s(inner, "first", _EXAMPLES)
    growth = inner.number("growth")
    limit_s = parse_duration_s(inner, "limit", _EXAMPLES)
    inner.end(unknown_is_error=True)
    if growth is not None and not (1 <= growth < math.inf):
        inner.refuse("growth", f"'growth' of {inner.what} must be 1 or more")
        growth = None
    return _backoff_of(first_s, growth, limit_s)


def _backoff_of(first_s: float | None, growth: float | None, limit_s: float | None) -> Backoff:
    """Return it with the usual for what is not said; a first wait over the usual limit is meant."""
    usual = Backoff()
    first_s = usual.first_s if first_s is None else first_s
    return Backoff(
        first_s,
        usual.growth if growth is None else float(growth),
        max(usual.limit_s, first_s) if limit_s is None else limit_s,
    )


def _retry_on(fields: Fields) -> frozenset[str] | None:
    if fields.entry("retry_on") is None:
        return None
    return frozenset(name.text for name in fields.names("retry_on") if _is_failure(name, fields))


def _is_failure(name: Name, fields: Fields) -> bool:
    text = name.text
    is_exit_code = text.isdecimal() and str(int(text)) == text and 0 < int(text) <= MAX_EXIT_CODE
    if is_exit_code or text in _SIGNALS or text in _WORDS:
        return True
    hint = did_you_mean(text, [*_WORDS, *sorted(_SIGNALS)])
    fields.problems.add(
        name.mark,
        f"'{text}' in 'retry_on' of {fields.what} must be an exit code (1 to {MAX_EXIT_CODE}), "
        f"a signal such as SIGKILL, {', '.join(_WORDS[:-1])} or {_WORDS[-1]}.{hint}",
    )
    return False
