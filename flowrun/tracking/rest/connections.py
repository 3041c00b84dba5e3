"""Kept-alive connections to one server, for any number of threads; directly or through a proxy."""

from __future__ import annotations

import base64
import http.client
import select
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit

from flowrun.errors import UsageError
from flowrun.tracking.rest.address import ServerAddress

CONNECT_TIMEOUT_S = 10.0
_BLOCK_BYTES = 1 << 20
"""Files are sent in blocks of this size; the standard library's 16 KiB cost a third more time."""
_MAX_IDLE_S = 4.0
"""uvicorn, and with it MLflow's server, closes a connection that is idle for 5 s."""


class Connections:
    """The open connections to one server that nobody uses just now."""

    def __init__(self, address: ServerAddress) -> None:
        parts = urlsplit(address.url)
        self._address = address
        self._host = parts.hostname or ""
        self._is_https = parts.scheme == "https"
        self._port = parts.port or (443 if self._is_https else 80)
        self._context: ssl.SSLContext | None = None
        self._lock = threading.Lock()
        self._idle: list[tuple[http.client.HTTPConnection, float]] = []
        is_forwarded = address.proxy is not None and not self._is_https
        self.prefix = address.url if is_forwarded else parts.path
        """What each request's target begins with: a proxy for http wants the whole URL."""

    def take(self) -> http.client.HTTPConnection:
        """Give a connection that is open, a kept one if there is one.

        Raises:
            OSError: there is no way to the server. Nothing has been sent.
        """
        while (kept := self._pop()) is not None:
            connection, since = kept
            if time.monotonic() - since < _MAX_IDLE_S and not _has_input(connection):
                return connection
            connection.close()  # closed by the server, or soon to be
        connection = self._new()
        connection.connect()
        if connection.sock is not None:
            connection.sock.settimeout(self._address.timeout_s)
        return connection

    def give_back(self, connection: http.client.HTTPConnection) -> None:
        """Keep a connection whose last answer was read to its end."""
        if connection.sock is None:
            return  # the server said that it closes it
        with self._lock:
            self._idle.append((connection, time.monotonic()))

    def close(self) -> None:
        """Close all that are idle."""
        while (kept := self._pop()) is not None:
            kept[0].close()

    @contextmanager
    def borrowed(self, connection: http.client.HTTPConnection) -> Iterator[None]:
        """Give the connection back at a good end of the block, and close it at a bad one."""
        try:
            yield
        except BaseException:
            connection.close()
            raise
        self.give_back(connection)

    def _pop(self) -> tuple[http.client.HTTPConnection, float] | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _new(self) -> http.client.HTTPConnection:
        host, port = self._host, self._port
        headers: dict[str, str] = {}
        if self._address.proxy is not None:
            host, port, headers = _proxy_parts(self._address.proxy)
        if not self._is_https:
            return http.client.HTTPConnection(
                host, port, timeout=CONNECT_TIMEOUT_S, blocksize=_BLOCK_BYTES
            )
        connection = http.client.HTTPSConnection(
            host,
            port,
            timeout=CONNECT_TIMEOUT_S,
            blocksize=_BLOCK_BYTES,
            context=self._tls(),
        )
        if self._address.proxy is not None:
            connection.set_tunnel(self._host, self._port, headers)
        return connection

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = _tls_context(self._address)
        return self._context


def proxy_authorization(address: ServerAddress) -> dict[str, str]:
    """Give the header for a proxy that forwards plain http; none where a tunnel carries it."""
    if address.proxy is None or address.url.startswith("https:"):
        return {}
    return _proxy_parts(address.proxy)[2]


def _proxy_parts(proxy: str) -> tuple[str, int, dict[str, str]]:
    try:
        parts = urlsplit(proxy)
        host, port = parts.hostname, parts.port or 80
    except ValueError:
        host = None
    if not host or parts.scheme != "http":
        # The URL is not shown: it may hold a password.
        raise UsageError("the proxy for the tracking server is no http:// URL of a host")
    if not parts.username:
        return host, port, {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    header = {"Proxy-Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    return host, port, header


def _tls_context(address: ServerAddress) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=address.authorities)
    except OSError as error:
        raise UsageError(
            f"MLFLOW_TRACKING_SERVER_CERT_PATH={address.authorities}: {error.strerror or error}"
        ) from error
    if not address.is_certificate_checked:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if address.client_certificate is not None:
        try:
            context.load_cert_chain(address.client_certificate)
        except OSError as error:
            place = address.client_certificate
            raise UsageError(
                f"MLFLOW_TRACKING_CLIENT_CERT_PATH={place}: {error.strerror or error}"
            ) from error
    return context


def _has_input(connection: http.client.HTTPConnection) -> bool:
    """Whether there is something to read before anything was asked: the end, or nonsense."""
    if connection.sock is None:
        return True
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))
