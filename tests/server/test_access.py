from __future__ import annotations

import base64

import pytest

from flowrun.server.access import Access
from flowrun.server.messages import Permission
from flowrun.server.problems import UnauthenticatedError, WrongHostError

ACCESS = Access(
    token="secret",
    hosts=frozenset({"127.0.0.1", "localhost", "[::1]", "flow.example.org"}),
    origins=frozenset({"https://ui.example.org"}),
)
HOST = {b"host": b"127.0.0.1:5000"}


def basic(user: str, password: str) -> bytes:
    return b"Basic " + base64.b64encode(f"{user}:{password}".encode())


ADMITTED: dict[str, tuple[dict[bytes, bytes], str]] = {
    "bearer": ({b"authorization": b"Bearer secret"}, ""),
    "bearer in lower case": ({b"authorization": b"bearer secret"}, ""),
    "basic with any user": ({b"authorization": basic("ada", "secret")}, "ada"),
    "a user that would move the cursor": (
        {b"authorization": basic("a\x1b[2Jda\n", "secret")},
        "a[2Jda",
    ),
    "own origin": ({b"authorization": b"Bearer secret", b"origin": b"http://127.0.0.1:5000"}, ""),
    "listed origin": (
        {b"authorization": b"Bearer secret", b"origin": b"https://ui.example.org"},
        "",
    ),
    "listed host": ({b"authorization": b"Bearer secret", b"host": b"Flow.example.org"}, ""),
    "IPv6 host": ({b"authorization": b"Bearer secret", b"host": b"[::1]:5000"}, ""),
}


@pytest.mark.parametrize(("headers", "user"), ADMITTED.values(), ids=ADMITTED)
def test_who_shows_the_token_from_an_allowed_place_is_let_in(
    headers: dict[bytes, bytes], user: str
) -> None:
    assert ACCESS.admit({**HOST, **headers}, Permission.WRITE) == user


NEEDS = (
    "This server needs a token.\n"
    "Set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_PASSWORD with any user name."
)
WRONG = "The token is not the one of this server."
STRANGERS: dict[str, tuple[dict[bytes, bytes], str]] = {
    "nothing": ({}, NEEDS),
    "empty bearer": ({b"authorization": b"Bearer "}, NEEDS),
    "wrong bearer": ({b"authorization": b"Bearer secret2"}, WRONG),
    "beginning of the token": ({b"authorization": b"Bearer secre"}, WRONG),
    "token as user": ({b"authorization": basic("secret", "")}, NEEDS),
    "wrong password": ({b"authorization": basic("ada", "guess")}, WRONG),
    "no base64": ({b"authorization": b"Basic ***"}, NEEDS),
    "another scheme": ({b"authorization": b"Digest secret"}, NEEDS),
    "bytes that are no text": ({b"authorization": b"Bearer \xff"}, WRONG),
}


@pytest.mark.parametrize(("headers", "message"), STRANGERS.values(), ids=STRANGERS)
def test_who_does_not_show_the_token_is_refused(headers: dict[bytes, bytes], message: str) -> None:
    with pytest.raises(UnauthenticatedError) as caught:
        ACCESS.admit({**HOST, **headers}, Permission.READ)
    assert str(caught.value) == message


FOREIGN: dict[str, dict[bytes, bytes]] = {
    "no host": {b"host": b""},
    "a name that resolves to loopback": {b"host": b"evil.example.com:5000"},
    "a name that ends like an allowed one": {b"host": b"notlocalhost"},
    "an allowed one as a label": {b"host": b"localhost.evil.example.com"},
    "foreign origin": {b"origin": b"http://evil.example.com"},
    "null origin": {b"origin": b"null"},
    "own host on another port": {b"origin": b"http://127.0.0.1:8888"},
}


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
def test_foreign_hosts_and_origins_are_refused_even_for_public_routes(
    headers: dict[bytes, bytes],
) -> None:
    with pytest.raises(WrongHostError):
        ACCESS.admit({**HOST, b"authorization": b"Bearer secret", **headers}, Permission.PUBLIC)


def test_without_a_token_everybody_is_let_in() -> None:
    access = Access(token=None)
    assert access.admit({**HOST, b"authorization": basic("ada", "x")}, Permission.WRITE) == "ada"
    assert access.admit(HOST, Permission.WRITE) == ""
