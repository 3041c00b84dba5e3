"""URIs of PostgreSQL databases: as libpq reads them, and as people may see them."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

SCHEMES = frozenset(
    {
        "postgresql",
        "postgres",
        "postgresql+psycopg2",
        "postgresql+psycopg",
        "postgresql+psycopg_async",
    }
)
"""What such a URI may begin with; MLflow's name its driver as well."""

_SECRETS = frozenset({"password", "sslpassword", "oauth_client_secret"})


def to_connect(uri: str) -> str:
    """Give the URI for libpq: with its own scheme, and otherwise as it is."""
    return "postgresql:" + uri.partition(":")[2]


def for_people(uri: str) -> str:
    """Give the URI without its password."""
    parts = urlsplit(to_connect(uri))
    credentials, at, place = parts.netloc.rpartition("@")
    query = [(key, value) for key, value in parse_qsl(parts.query) if key not in _SECRETS]
    netloc = credentials.partition(":")[0] + at + place
    return urlunsplit((parts.scheme, netloc, parts.path, urlencode(query, safe="/:,"), ""))
