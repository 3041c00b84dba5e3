"""Where a tracking server is and how it lets us in: a tracking URI and MLflow's variables.

Source: MLflow's documentation of its environment variables (`MLFLOW_TRACKING_*`,
`MLFLOW_HTTP_REQUEST_TIMEOUT`); proxies as curl and git read them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from urllib.parse import SplitResult, unquote, urlsplit

from flowrun.errors import UsageError
from flowrun.tracking.light_http import authorization
from flowrun.valueclass import valueclass

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
TIMEOUT_S = 120.0
"""How long a server may take for one answer; MLflow's own default."""
PATIENCE_S = 60.0
"""How long a server that answered before may be gone until a call to it fails."""


@valueclass
class ServerAddress:
    """Everything that is needed to speak to one server."""

    url: str
    """Without credentials, and without a slash at its end."""
    authorization: str | None = field(default=None, repr=False)
    """The header of that name."""
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The variables by which a step's own client is let in."""
    proxy: str | None = field(default=None, repr=False)
    """The proxy to go through; its URL may hold a password."""
    is_certificate_checked: bool = True
    authorities: str | None = None
    """A file of certificates to trust instead of the system's."""
    client_certificate: str | None = None
    timeout_s: float = TIMEOUT_S
    patience_s: float = PATIENCE_S

    @property
    def is_loopback(self) -> bool:
        """Whether the server is on this machine."""
        return _is_loopback(urlsplit(self.url).hostname or "")


def server_address(uri: str, variables: Mapping[str, str]) -> ServerAddress:
    """Read a tracking URI, with what the caller's variables say about servers.

    Args:
        uri: `http://` or `https://`, with a path if the server has a prefix; a user and password in
            it go before those of the variables.
        variables: the caller's environment.

    Raises:
        UsageError: the URI or a variable can't be read.
    """
    parts = _parts(uri)
    host = parts.netloc.rpartition("@")[2]
    url = f"{parts.scheme}://{host}{parts.path.rstrip('/')}"
    token = variables.get("MLFLOW_TRACKING_TOKEN") or None
    user = unquote(parts.username or "") or variables.get("MLFLOW_TRACKING_USERNAME", "")
    password = unquote(parts.password or "") or variables.get("MLFLOW_TRACKING_PASSWORD", "")
    return ServerAddress(
        url=url,
        authorization=authorization(token, user, password),
        credentials=_credentials(token, user, password),
        proxy=_proxy(parts, variables),
        is_certificate_checked=not _flag(variables, "MLFLOW_TRACKING_INSECURE_TLS"),
        authorities=variables.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or None,
        client_certificate=variables.get("MLFLOW_TRACKING_CLIENT_CERT_PATH") or None,
        timeout_s=_seconds(variables, "MLFLOW_HTTP_REQUEST_TIMEOUT", TIMEOUT_S),
        patience_s=_seconds(variables, "FLOWRUN_SERVER_PATIENCE_S", PATIENCE_S),
    )


def _parts(uri: str) -> SplitResult:
    shown = f"{uri.partition(':')[0]}://{uri.rpartition('@')[2].rpartition('://')[2]}"
    try:
        parts = urlsplit(uri)
        is_good = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good or parts.query or parts.fragment or not uri.isprintable():
        raise UsageError(
            f"tracking URI '{shown}' names no server",
            "Give http:// or https:// with a host, and a port and path if it has them: "
            "https://mlflow.example.org/team",
        )
    return parts


def _credentials(token: str | None, user: str, password: str) -> dict[str, str]:
    if user or password:
        return {"MLFLOW_TRACKING_USERNAME": user, "MLFLOW_TRACKING_PASSWORD": password}
    return {"MLFLOW_TRACKING_TOKEN": token} if token else {}


def _proxy(parts: SplitResult, variables: Mapping[str, str]) -> str | None:
    """Give the proxy for a URL; none for this machine, whatever the variables say."""
    lower = {name.lower(): value for name, value in variables.items()}
    host = parts.hostname or ""
    if _is_loopback(host) or _is_direct(host, lower.get("no_proxy", "")):
        return None
    proxy = lower.get(f"{parts.scheme}_proxy") or lower.get("all_proxy")
    if not proxy:
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _is_direct(host: str, no_proxy: str) -> bool:
    names = [name.strip().lstrip(".").lower() for name in no_proxy.split(",")]
    return any(name and (name == "*" or f".{host}".endswith(f".{name}")) for name in names)


def _is_loopback(host: str) -> bool:
    return host in LOOPBACK_NAMES or host.startswith("127.")


def _flag(variables: Mapping[str, str], name: str) -> bool:
    text = variables.get(name, "").lower()
    if text not in {"", "0", "1", "true", "false"}:
        raise UsageError(f"{name}={text}: must be true or false")
    return text in {"1", "true"}


def _seconds(variables: Mapping[str, str], name: str, default: float) -> float:
    text = variables.get(name)
    if not text:
        return default
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds < float("inf"):
        raise UsageError(f"{name}={text}: must be a number of seconds")
    return seconds
