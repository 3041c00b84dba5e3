from __future__ import annotations

import pytest

from flowrun.errors import InvalidValueError
from flowrun.server.webhooks.rules import WebhookRules
from flowrun.server.webhooks.target import check_url, find_target, is_public

RULES = WebhookRules()

ADDRESSES = {
    "8.8.8.8": True,
    "2001:4860:4860::8888": True,
    "127.0.0.1": False,
    "0.0.0.0": False,  # noqa: S104 - refused
    "10.1.2.3": False,
    "172.16.0.1": False,
    "192.168.1.1": False,
    "100.64.0.1": False,
    "169.254.169.254": False,
    "224.0.0.1": False,
    "255.255.255.255": False,
    "::1": False,
    "::": False,
    "fe80::1": False,
    "fd00::1": False,
    "ff02::1": False,
    "::ffff:127.0.0.1": False,
    "::ffff:8.8.8.8": True,
    "64:ff9b::a9fe:a9fe": False,
    "64:ff9b::808:808": True,
    "2002:7f00:1::": False,
    "2001:0:4136:e378:8000:63bf:f5ff:fffe": False,
}


@pytest.mark.parametrize(("address", "expected"), ADDRESSES.items())
def test_only_addresses_of_the_internet_are_public_however_wrapped(
    address: str, expected: bool
) -> None:
    assert is_public(address) is expected


REFUSED = {
    "empty": (" ", "Webhook URL cannot be empty or just whitespace: ' '"),
    "no https": (
        "http://example.org",
        "Invalid webhook URL scheme: 'http'. Allowed schemes are: https.",
    ),
    "file": (
        "file:///etc/passwd",
        "Invalid webhook URL scheme: 'file'. Allowed schemes are: https.",
    ),
    "no host": ("https:///x", "Webhook URL must include a hostname: 'https:///x'"),
    "password": (
        "https://a:b@127.0.0.1/",
        "Webhook URL must not hold a user name or password.",
    ),
    "a line break": (
        "https://example.org/\r\nX-A: b",
        "Invalid webhook URL 'https://example.org/\\r\\nX-A: b': it holds blanks or other "
        "characters",
    ),
    "a port that is none": (
        "https://example.org:x/",
        "Invalid webhook URL 'https://example.org:x/': "
        "Port could not be cast to integer value as 'x'",
    ),
    "this machine": (
        "https://localhost/",
        "Webhook URL must not resolve to a non-public IP address. "
        "'localhost' resolves to {address}.",
    ),
    "this machine in disguise": (
        "https://2130706433/",
        "Webhook URL must not resolve to a non-public IP address. "
        "'2130706433' resolves to 127.0.0.1.",
    ),
    "cloud metadata": (
        "https://169.254.169.254/latest",
        "Webhook URL must not resolve to a non-public IP address. "
        "'169.254.169.254' resolves to 169.254.169.254.",
    ),
}


@pytest.mark.parametrize(("url", "message"), REFUSED.values(), ids=REFUSED)
def test_a_url_that_may_lead_inside_is_refused(url: str, message: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        check_url(url, RULES)
    allowed = {message.format(address=address) for address in ("127.0.0.1", "::1")}
    assert str(caught.value) in allowed


def test_a_host_that_nobody_knows_is_refused() -> None:
    with pytest.raises(InvalidValueError, match=r"resolve Webhook URL hostname 'no\.invalid'"):
        check_url("https://no.invalid/", RULES)


def test_a_target_is_all_that_a_request_needs() -> None:
    target = find_target("https://8.8.8.8:8443/a/b?c=d#e", RULES)
    assert (target.host, target.port, target.path) == ("8.8.8.8", 8443, "/a/b?c=d")
    assert target.addresses == ("8.8.8.8",)
    assert find_target("https://8.8.8.8", RULES).port == 443


def test_private_addresses_can_be_allowed() -> None:
    rules = WebhookRules(schemes=("http",), allow_private=True)
    assert find_target("http://127.0.0.1:1/", rules).addresses == ("127.0.0.1",)
