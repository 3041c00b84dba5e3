"""Takes credentials out of text before it is stored or shown."""

from __future__ import annotations

import re

# The user of an ssh address is no secret, and without it the address is another one.
_USERINFO = re.compile(r"(?<!ssh)://[^/\s'\"]*@")


def mask(text: str) -> str:
    """Return `text` with the user and password of every URL shown as `***`."""
    return _USERINFO.sub("://***@", text)


def without_credentials(text: str) -> str:
    """Return `text` with the user and password of every URL left out."""
    return _USERINFO.sub("://", text)
