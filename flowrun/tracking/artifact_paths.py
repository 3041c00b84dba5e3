"""The one check of paths and URIs of artifacts; every list, get, put and delete goes through it."""

from __future__ import annotations

from urllib.parse import unquote

from flowrun.errors import InvalidValueError

_MAX_LENGTH = 4096


def check_artifact_path(path: str) -> str:
    """Give a path below a root, without slashes at its ends; '' is the root itself.

    The path is used as it is written. It is checked in every decoding of itself, since whoever
    stored or sends it may decode it once more.

    Raises:
        InvalidValueError: it is absolute, climbs, or holds what another reader of it could take
            for something else: a backslash, control character, query or fragment.
    """
    text = path
    while True:
        reason = _reason_against(text)
        if reason:
            raise InvalidValueError(f"Invalid path '{path}': {reason}.")
        decoded = unquote(text)
        if decoded == text:
            return path.rstrip("/")
        text = decoded


def check_uri(uri: str) -> None:
    """Refuse an artifact URI with a part that no artifact has, in any decoding of it.

    Raises:
        InvalidValueError: a query, fragment, user, backslash, control character or `..` in it.
    """
    text = uri
    while True:
        authority = text.partition("://")[2].partition("/")[0]
        # In Azure's URIs the container stands before an `@`.
        has_user = "@" in authority and not text.startswith(("abfs", "wasb"))
        reason = "it names a user" if has_user else _reason_against_characters(text)
        if ".." in text.split("/"):
            reason = "it climbs with '..'"
        if reason:
            raise InvalidValueError(f"Invalid path '{uri}': {reason}.")
        decoded = unquote(text)
        if decoded == text:
            return
        text = decoded


def _reason_against(path: str) -> str | None:
    if path.startswith("/"):
        return "it is absolute"
    parts = path.rstrip("/").split("/") if path else []
    if ".." in parts:
        return "it climbs with '..'"
    if "." in parts or "" in parts:
        return "it has an empty or '.' part"
    if len(path) > _MAX_LENGTH:
        return f"it is longer than {_MAX_LENGTH} characters"
    return _reason_against_characters(path)


def _reason_against_characters(text: str) -> str | None:
    if "\\" in text:
        return "it has a backslash"
    if "?" in text or "#" in text:
        return "it has a query or a fragment"
    if not text.isprintable() and any(ord(each) < 32 or 127 <= ord(each) < 160 for each in text):
        return "it has a control character"
    return None
