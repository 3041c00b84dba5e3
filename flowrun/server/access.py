"""Who may call: the token, and the Host and Origin headers a request may carry.

Host and Origin are checked on loopback too: a web page in the user's own browser can send requests
there (CSRF), and with a name that resolves to 127.0.0.1 also read the answers (DNS rebinding).
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from flowrun.server.messages import Permission
from flowrun.server.problems import UnauthenticatedError, WrongHostError

_MAX_USER_LENGTH = 256
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})


@dataclass(frozen=True, slots=True)
class Access:
    """The rules of one server."""

    token: str | None
    """What a caller must show; None lets everybody in who can reach the socket."""
    hosts: frozenset[str] = LOOPBACK_HOSTS
    """The names, in lower case and without port, that a Host header may hold."""
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
        if name not in self.hosts:
            raise WrongHostError(
                f"This server does not answer to the host name '{host}'.",
                "Name it among the allowed hosts of the server, if that is how it is reached.",
            )

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


def _plain(user: bytes) -> str:
    """Give a name that can be kept and shown: it is only what the caller says it is."""
    text = user[:_MAX_USER_LENGTH].decode("utf-8", "replace")
    return "".join(character for character in text if character.isprintable())
