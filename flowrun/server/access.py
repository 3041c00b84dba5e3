"""Who may call: the token, and the Host and Origin headers a request may carry.

Host and Origin are checked on loopback too: a web page in the user's own browser can send requests
there (CSRF), and with a name that resolves to 127.0.0.1 also read the answers (DNS rebinding).
"""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
from collections.abc import Mapping
from fnmatch import fnmatchcase

from flowrun.server.messages import Permission
from flowrun.server.problems import UnauthenticatedError, WrongHostError
from flowrun.valueclass import valueclass

_MAX_USER_LENGTH = 256
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})


@valueclass
class Access:
    """The rules of one server."""

    token: str | None
    """What a caller must show; None lets everybody in who can reach the socket."""
    hosts: frozenset[str] = LOOPBACK_HOSTS
    """The names, in lower case and without port, that a Host header may hold; or with the port
    that must be there."""
    host_patterns: tuple[str, ...] = ()
    """The same with `*` for any characters; `*` alone turns the check off."""
    answers_to_addresses: bool = False
    """A Host header may be any IP address: no page can pretend to be one, as it can with a name."""
    origins: frozenset[str] = frozenset()
    """Origins (`https://host:port`) of web pages that may call, beside the server's own."""

    def admit(self, headers: Mapping[bytes, bytes], permission: Permission) -> str:
        """Let a request in and give its user's name, which may be empty.

        Raises:
            WrongHostError: the Host or Origin isn't on the list.
            UnauthenticatedError: the token is missing or wrong.
        """
        host = headers.get(b"host", b"").decode("latin-1").lower()
        self._check_host(host)
        if b"origin" in headers:
            self._check_origin(headers[b"origin"].decode("latin-1").lower(), host)
        if permission is Permission.PUBLIC:
            return ""
        return self._authenticate(headers.get(b"authorization", b""))

    def _check_host(self, host: str) -> None:
        name, colon, port = host.rpartition(":")
        if not colon or not port.isdigit():
            name = host
        if name not in self.hosts and not self._is_allowed(name, host):
            raise WrongHostError(
                f"This server does not answer to the host name '{host}'.",
                "If that is how it is reached, start it with --allowed-hosts and this name.",
            )

    def _is_allowed(self, name: str, host: str) -> bool:
        if host in self.hosts or (self.answers_to_addresses and _is_address(name)):
            return True
        return any(
            fnmatchcase(name, pattern) or fnmatchcase(host, pattern)
            for pattern in self.host_patterns
        )

    def shares_with(self, origin: bytes) -> bool:
        """True if web pages of another origin may read answers."""
        return origin.decode("latin-1").lower() in self.origins

    def _check_origin(self, origin: str, host: str) -> None:
        if origin not in self.origins and origin not in {f"http://{host}", f"https://{host}"}:
            raise WrongHostError(f"Requests from web pages of '{origin}' are not allowed.")

    def _authenticate(self, authorization: bytes) -> str:
        user, secret = _credentials(authorization)
        if self.token is None:
            return user
        if not secret:
            raise UnauthenticatedError(
                "This server needs a token.",
                "Set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_PASSWORD with any user name.",
            )
        if not hmac.compare_digest(secret, self.token.encode()):
            raise UnauthenticatedError("The token is not the one of this server.")
        return user


def _credentials(authorization: bytes) -> tuple[str, bytes]:
    """Give the user name, which only Basic carries, and the secret of an Authorization header."""
    scheme, _, value = authorization.partition(b" ")
    if scheme.lower() == b"bearer":
        return "", value.strip()
    if scheme.lower() == b"basic":
        try:
            user, _, secret = base64.b64decode(value.strip(), validate=True).partition(b":")
        except binascii.Error:
            return "", b""
        return _plain(user), secret
    return "", b""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _plain(user: bytes) -> str:
    """Give a name that can be kept and shown: it is only what the caller says it is."""
    text = user[:_MAX_USER_LENGTH].decode("utf-8", "replace")
    return "".join(character for character in text if character.isprintable())
