"""Fetching a zip file from a web server: in pieces, with a limit, its secrets never shown."""

from __future__ import annotations

import base64
import http.client
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from flowrun.errors import SourceError, UnreachableError
from flowrun.settings import is_offline, offline_error
from flowrun.sources.source import Progress
from flowrun.sources.uri import ZipUri

SIZE_LIMIT_BYTES = 1 << 30
_CHUNK_BYTES = 1 << 18
_TOLD_BYTES = 16 << 20


def download(
    uri: ZipUri,
    into: Path,
    variables: Mapping[str, str],
    patience_s: float,
    progress: Progress,
    limit_bytes: int = SIZE_LIMIT_BYTES,
) -> None:
    """Fetch a file.

    Args:
        uri: where from; its query and credentials go to this host only and are never shown.
        into: the new file.
        variables: the caller's environment, for its proxies.
        patience_s: how long the host may say nothing.
        progress: told how much has come.
        limit_bytes: a larger file is refused.

    Raises:
        SourceError: there is no such file, or it is too large.
        UnreachableError: the host gives no answer, or lets nobody in.
    """
    if is_offline(variables):
        raise UnreachableError(offline_error(uri.url))
    request = urllib.request.Request(uri.url + (f"?{uri.query}" if uri.query else ""))  # noqa: S310 - parse_uri lets http and https through
    if uri.credentials is not None:
        pair = f"{uri.credentials.username}:{uri.credentials.password}".encode()
        # Unredirected: another host that this one points to does not get it.
        request.add_unredirected_header(
            "Authorization", f"Basic {base64.b64encode(pair).decode('ascii')}"
        )
    progress(f"downloading {uri.url}")
    try:
        with (
            _opener(uri, variables).open(request, timeout=patience_s) as response,
            into.open("xb") as file,
        ):
            size_bytes = told_bytes = 0
            while data := response.read(_CHUNK_BYTES):
                size_bytes += len(data)
                if size_bytes > limit_bytes:
                    raise SourceError(f"{uri.url}: is larger than {limit_bytes >> 20} MiB")
                file.write(data)
                if size_bytes - told_bytes >= _TOLD_BYTES:
                    told_bytes = size_bytes
                    progress(f"downloading {uri.url}: {size_bytes >> 20} MiB")
    except urllib.error.HTTPError as error:
        error.close()
        raise _refused(uri, error.code) from None
    except urllib.error.URLError as error:
        raise UnreachableError(f"{uri.url}: the host does not answer ({error.reason})") from None
    except (http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise UnreachableError(
            f"{uri.url}: the connection broke ({error})", "Run it again."
        ) from None


def _refused(uri: ZipUri, status: int) -> SourceError | UnreachableError:
    if status in {401, 403}:
        return UnreachableError(
            f"{uri.url}: the host asks for a login, and lets nobody in without (HTTP {status})",
            "Give https://USER:TOKEN@...; it is used for this and never kept.",
        )
    if status in {404, 410}:
        return SourceError(f"{uri.url}: there is no such file (HTTP {status})")
    return UnreachableError(f"{uri.url}: the host answers with HTTP {status}")


def _opener(uri: ZipUri, variables: Mapping[str, str]) -> urllib.request.OpenerDirector:
    """Http and https and nothing else; proxies from the caller's variables, not this process's."""
    lower = {name.lower(): value for name, value in variables.items()}
    proxies = {
        scheme: lower[f"{scheme}_proxy"]
        for scheme in ("http", "https")
        if lower.get(f"{scheme}_proxy")
    }
    if _is_direct(uri.url, lower.get("no_proxy", "")):
        proxies = {}
    opener = urllib.request.OpenerDirector()
    handlers = (
        urllib.request.ProxyHandler(proxies),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    )
    for handler in handlers:
        opener.add_handler(handler)
    return opener


def _is_direct(url: str, no_proxy: str) -> bool:
    """Whether the caller wants no proxy for this host; curl and git read `no_proxy` in this way."""
    host = urllib.parse.urlsplit(url).hostname or ""
    names = [name.strip().lstrip(".").lower() for name in no_proxy.split(",")]
    return any(name and (name == "*" or f".{host}".endswith(f".{name}")) for name in names)
