"""An address to send to, checked: the very address that was checked is the one connected to.

A name that resolves to a public address when it is checked and to 169.254.169.254 when it is used
(DNS rebinding) gets nowhere, since it is resolved once, here.
"""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from flowrun.errors import InvalidValueError
from flowrun.server.webhooks.rules import WebhookRules
from flowrun.valueclass import valueclass

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_PORTS = {"http": 80, "https": 443}

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@valueclass
class Target:
    """Where one request goes."""

    scheme: str
    host: str
    port: int
    path: str
    """With the query, as it stands in the request's first line."""
    addresses: tuple[str, ...]
    """Of the host, all of them allowed."""


def find_target(url: str, rules: WebhookRules) -> Target:
    """Read a URL, resolve its host, and check both.

    Raises:
        InvalidValueError: the URL or one of the host's addresses is not allowed.
        OSError: the host can't be resolved, now.
    """
    target = _read(url, rules)
    found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    addresses = tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        # An address of a link-local network may carry its interface: fe80::1%eth0.
        if not rules.allow_private and not is_public(address.partition("%")[0]):
            raise InvalidValueError(
                "Webhook URL must not resolve to a non-public IP address. "
                f"'{target.host}' resolves to {address}."
            )
    return Target(target.scheme, target.host, target.port, target.path, addresses)


def check_url(url: str, rules: WebhookRules) -> None:
    """Refuse a URL that `find_target` refuses, or whose host can't be resolved.

    Raises:
        InvalidValueError: in MLflow's words.
    """
    try:
        find_target(url, rules)
    except OSError as error:
        host = urlsplit(url).hostname
        raise InvalidValueError(f"Cannot resolve Webhook URL hostname '{host}': {error}") from error


def is_public(address: str) -> bool:
    """True for an address of the internet; an IPv4 address wrapped in an IPv6 one is looked at."""
    ip = _unwrapped(ipaddress.ip_address(address))
    return ip.is_global and not ip.is_multicast


def _unwrapped(ip: Address) -> Address:
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    teredo = ip.teredo
    return ip.ipv4_mapped or ip.sixtofour or (teredo[1] if teredo else ip)


def _read(url: str, rules: WebhookRules) -> Target:
    if not url.strip():
        raise InvalidValueError(f"Webhook URL cannot be empty or just whitespace: {url!r}")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidValueError(f"Invalid webhook URL {url!r}: it holds blanks or other characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidValueError(f"Invalid webhook URL {url!r}: {error}") from error
    if parts.scheme not in rules.schemes:
        raise InvalidValueError(
            f"Invalid webhook URL scheme: {parts.scheme!r}. "
            f"Allowed schemes are: {', '.join(rules.schemes)}."
        )
    if not parts.hostname:
        raise InvalidValueError(f"Webhook URL must include a hostname: {url!r}")
    if parts.username is not None or parts.password is not None:
        raise InvalidValueError("Webhook URL must not hold a user name or password.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, parts.hostname, port or _PORTS[parts.scheme], path, ())
