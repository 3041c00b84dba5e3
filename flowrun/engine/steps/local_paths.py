"""Tells paths of this machine from URIs of things elsewhere."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]+):/")
"""Of two characters at least (`C:/` is a path), and with a slash: `run:1.csv` is a file's name."""


def scheme_of(value: str) -> str:
    """Give a URI's scheme in lower case, '' for a plain path."""
    found = _SCHEME.match(value)
    return found[1].lower() if found else ""


def local_path_of(value: str) -> Path | None:
    """Give the path that a plain path or a `file:` URI means; None for anything remote."""
    scheme = scheme_of(value)
    if scheme == "":
        return Path(value)
    if scheme == "file":
        rest = value.partition(":")[2]
        return Path(unquote("/" + rest[2:].partition("/")[2] if rest.startswith("//") else rest))
    return None
