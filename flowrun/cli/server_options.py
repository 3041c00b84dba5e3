"""Reads the flags of `flowrun server`, which are MLflow's, into what the server is made of."""

from __future__ import annotations

import importlib
import socket
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from flowrun.errors import UsageError
from flowrun.server.access import LOOPBACK_HOSTS, Access
from flowrun.tracking.artifact_paths import check_uri
from flowrun.tracking.artifacts import PROXIED, REMOTE_SCHEMES

LOOPBACK_ADDRESSES = frozenset({"127.0.0.1", "localhost", "::1"})

_OTHER_SERVER = "flowrun serves by uvicorn alone, which needs no options."
_NO_WORKSPACES = "This server has no workspaces; run one server for each."
REFUSED = {
    "--dev": "It reloads MLflow's own code while that is being changed.",
    "--gunicorn-opts": _OTHER_SERVER,
    "--uvicorn-opts": _OTHER_SERVER,
    "--waitress-opts": _OTHER_SERVER,
    "--app-name": "This server asks for a token; it has no users and permissions yet.",
    "--disable-security-middleware": "Name who may call: --allowed-hosts, --cors-allowed-origins.",
    "--read-replica-backend-store-uri": "This server reads where it writes.",
    "--trace-archival-config": "Traces stay in the store.",
    "--workspace-store-uri": _NO_WORKSPACES,
    "--enable-workspaces": _NO_WORKSPACES,
    "--secrets-cache-ttl": "This server keeps no secrets of an AI gateway.",
    "--secrets-cache-max-size": "This server keeps no secrets of an AI gateway.",
}
"""Flags of `mlflow server` that make no sense here, and why."""


def refuse_unknown(words: Sequence[str]) -> None:
    """Refuse words of the command line that are no flag of this command.

    Raises:
        UsageError: there is such a word; it says why one of MLflow's flags is not taken.
    """
    for word in words:
        name = word.partition("=")[0]
        if name in REFUSED:
            raise UsageError(f"flowrun server does not take MLflow's {name}.", REFUSED[name])
        raise UsageError(
            f"flowrun server has no '{name}'.", "See `flowrun server --help` for what it takes."
        )


def access_of(host: str, hosts: str | None, origins: str | None, token: str | None) -> Access:
    """Give who may call.

    Args:
        host: what the server listens on.
        hosts: names by which clients reach it, separated by commas; `*` stands for anything.
        origins: `https://host:port` of web pages that may call, separated by commas.
        token: what callers must show.

    Raises:
        UsageError: an origin is none.
    """
    names = [name.lower() for name in _items(hosts)]
    own = {host.lower(), f"[{host.lower()}]", socket.gethostname().lower()}
    return Access(
        token=token,
        hosts=LOOPBACK_HOSTS | own | {name for name in names if "*" not in name},
        host_patterns=tuple(name for name in names if "*" in name),
        answers_to_addresses=host not in LOOPBACK_ADDRESSES,
        origins=frozenset(_origin(text) for text in _items(origins)),
    )


def place_of(text: str, cwd: Path) -> str:
    """Give the absolute path or the URL of where artifacts are to lie.

    Args:
        text: a path, which may be relative to `cwd`, a `file:` URI or a URL of a known storage.
        cwd: where relative paths begin.

    Raises:
        UsageError: it is a URL of an unknown kind.
    """
    check_uri(text)
    scheme = urlsplit(text).scheme
    if not scheme:
        return str((cwd / Path(text).expanduser()).absolute())
    if scheme not in REMOTE_SCHEMES | {"file", PROXIED}:
        raise UsageError(
            f"artifacts can't be kept at '{text}': no storage is called {scheme}",
            f"Give a directory, or a URL that begins with one of {', '.join(_kinds())}.",
        )
    return text


def check_storage(place: str) -> None:
    """Refuse a storage whose package is not installed, before the first artifact comes.

    Raises:
        UnsupportedError: it says what to install.
    """
    if urlsplit(place).scheme in REMOTE_SCHEMES:
        # By name: fsspec takes as long to import as all else here together.
        importlib.import_module("flowrun.tracking.remote_artifacts").check_installed(place)


def prefix_of(text: str) -> str:
    """Give what all paths begin with; empty for nothing.

    Raises:
        UsageError: it is no path without a slash at its end.
    """
    if text and (not text.startswith("/") or text.endswith("/")):
        raise UsageError(
            f"--static-prefix '{text}' must begin with a slash and not end with one",
            "Such as /mlflow.",
        )
    return text


def frame_options_of(text: str) -> bytes | None:
    """Give the value of the X-Frame-Options header; None for NONE, which leaves it out."""
    value = text.upper()
    if value not in {"SAMEORIGIN", "DENY", "NONE"}:
        raise UsageError(f"--x-frame-options '{text}' is none of SAMEORIGIN, DENY and NONE")
    return None if value == "NONE" else value.encode()


def _items(text: str | None) -> list[str]:
    return [item.strip() for item in (text or "").split(",") if item.strip()]


def _origin(text: str) -> str:
    parts = urlsplit(text.lower())
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path or "*" in text:
        raise UsageError(
            f"--cors-allowed-origins: '{text}' is no origin",
            "Name each one in full: https://pages.example.com. Whoever may call can change all.",
        )
    return text.lower()


def _kinds() -> list[str]:
    return sorted(f"{scheme}://" for scheme in REMOTE_SCHEMES - {"memory"})
