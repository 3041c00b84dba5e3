"""Lets web pages of the origins that the operator named read the answers.

Source: the Fetch standard, "CORS protocol". Whether an origin may call at all, `access.py` says.
"""

from __future__ import annotations

from collections.abc import Mapping

from flowrun.server.messages import Headers, Response

_METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE"
_HEADERS = b"authorization, content-type, range, x-mlflow-client-version, x-mlflow-experiment-id"
_MAX_AGE_S = b"600"


def is_preflight(method: str, headers: Mapping[bytes, bytes]) -> bool:
    """True if a browser only asks whether it may send a page's request."""
    return method == "OPTIONS" and b"access-control-request-method" in headers


def preflight_response() -> Response:
    """Tell the browser that it may; `shared_headers` says whose pages."""
    headers = [
        (b"access-control-allow-methods", _METHODS),
        (b"access-control-allow-headers", _HEADERS),
        (b"access-control-max-age", _MAX_AGE_S),
    ]
    return Response(204, headers, b"")


def shared_headers(origin: bytes) -> Headers:
    """Give the headers that let a page of this origin read the answer."""
    return [
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-expose-headers", b"content-range, content-disposition"),
        (b"vary", b"origin"),
    ]
