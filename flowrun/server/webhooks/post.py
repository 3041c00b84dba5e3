"""Sends one request to a URL that a user named, wherever the rules allow it to go."""

from __future__ import annotations

import email.utils
import http.client
import socket
import ssl
import time
from collections.abc import Mapping
from urllib.parse import urljoin

from flowrun.errors import InvalidValueError
from flowrun.server.webhooks.rules import WebhookRules
from flowrun.server.webhooks.target import Target, find_target
from flowrun.valueclass import valueclass

MAX_REPLY_BYTES = 2**16
"""What is read of a receiver's answer."""

_MAX_REDIRECTS = 3
_KEEPS_METHOD = frozenset({307, 308})
"""The redirects after which a POST is still a POST; others are answers like any."""


@valueclass
class Reply:
    """What a receiver answered."""

    status: int
    text: str
    retry_after_s: float | None
    """How long it asks to be left alone, if it does."""

    @property
    def is_good(self) -> bool:
        """True if the receiver took it."""
        return self.status < 300


def post(url: str, body: bytes, headers: Mapping[str, str], rules: WebhookRules) -> Reply:
    """POST a body. Proxies of the environment are not used: the address checked would be theirs.

    Raises:
        InvalidValueError: the URL, or one it redirects to, is not allowed.
        OSError: the receiver can't be reached, or does not speak HTTP.
    """
    for _ in range(_MAX_REDIRECTS + 1):
        target = find_target(url, rules)
        try:
            reply, location = _send(target, body, headers, rules.timeout_s)
        except http.client.HTTPException as error:
            raise OSError(f"no HTTP answer: {error!r}") from error
        if reply.status not in _KEEPS_METHOD or not location:
            return reply
        url = urljoin(url, location)
    raise InvalidValueError(f"more than {_MAX_REDIRECTS} redirects, the last to {url}")


def _send(
    target: Target, body: bytes, headers: Mapping[str, str], timeout_s: float
) -> tuple[Reply, str | None]:
    connection = http.client.HTTPConnection(target.host, target.port, timeout=timeout_s)
    # With a socket of its own the connection resolves and opens nothing itself.
    connection.sock = _connect(target, timeout_s)
    try:
        if target.port == {"http": 80, "https": 443}[target.scheme]:
            headers = {"Host": _bracketed(target.host), **headers}
        connection.request("POST", target.path, body, {**headers, "Connection": "close"})
        response = connection.getresponse()
        text = response.read(MAX_REPLY_BYTES).decode("utf-8", "replace")
        asked = _seconds(response.headers.get("Retry-After"))
        return Reply(response.status, text, asked), response.headers.get("Location")
    finally:
        connection.close()


def _connect(target: Target, timeout_s: float) -> socket.socket:
    raw = _open(target, timeout_s)
    if target.scheme == "http":
        return raw
    try:
        # The certificate is checked against the name, though an address is connected to.
        context = ssl.create_default_context()
        return context.wrap_socket(raw, server_hostname=target.host)
    except BaseException:
        raw.close()
        raise


def _open(target: Target, timeout_s: float) -> socket.socket:
    *others, last = target.addresses
    for address in others:
        try:
            return socket.create_connection((address, target.port), timeout_s)
        except OSError:
            continue
    return socket.create_connection((last, target.port), timeout_s)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _seconds(retry_after: str | None) -> float | None:
    """Read a Retry-After header: seconds or a date. Source: RFC 9110, section 10.2.3."""
    if retry_after is None:
        return None
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        date = email.utils.parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max(0.0, date.timestamp() - time.time())
