"""URIs of PostgreSQL databases: as libpq reads them, and as people may see them."""

from __future__ import annotations

from urllib.parse import parse_qs, parse_qsl, unquote, urlencode, urlsplit, urlunsplit

SCHEMES = frozenset({"postgresql", "postgres", "postgresql+psycopg2", "postgresql+psycopg"})
"""What such a URI may begin with; MLflow's name its driver as well."""

_SECRETS = frozenset({"password", "sslpassword", "oauth_client_secret"})


def to_connect(uri: str) -> str:
    """Give the URI for libpq: with its own scheme, and otherwise as it is."""
    return "postgresql:" + uri.partition(":")[2]


def without_password(uri: str) -> str:
    """Give the URI as people and process lists may see it."""
    parts = urlsplit(to_connect(uri))
    credentials, at, place = parts.netloc.rpartition("@")
    query = [(key, value) for key, value in parse_qsl(parts.query) if key not in _SECRETS]
    netloc = credentials.partition(":")[0] + at + place
    return urlunsplit((parts.scheme, netloc, parts.path, urlencode(query, safe="/:,"), ""))


def password_of(uri: str) -> str | None:
    """Give the password that a URI holds, before the host or among its parameters."""
    parts = urlsplit(uri)
    if parts.password is not None:
        return unquote(parts.password)
    return parse_qs(parts.query).get("password", [None])[-1]
