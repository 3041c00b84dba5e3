"""The patterns of RLIKE: only those that can't hold up the server; see `flowrun.safe_regex`."""

from __future__ import annotations

from flowrun.errors import InvalidValueError
from flowrun.safe_regex import Regex, RegexError, read_regex
from flowrun.tracking import limits


def check_regex(pattern: str) -> None:
    """Refuse a pattern that is none, or that could take too long."""
    _regex(pattern)


def regex_matches(pattern: str, text: str | None) -> bool | None:
    """Say whether a pattern that was checked is found in a text; None for no text, as in SQL."""
    if text is None:
        return None
    regex = _regex(pattern)
    return bool(regex.compiled.search(text[: regex.text_length]))


def _regex(pattern: str) -> Regex:
    if len(pattern) > limits.MAX_REGEX_LENGTH:
        raise InvalidValueError(
            f"The pattern of an RLIKE has at most {limits.MAX_REGEX_LENGTH} characters."
        )
    try:
        return read_regex(pattern)
    except RegexError as error:
        raise InvalidValueError(f"Invalid pattern '{pattern}' of an RLIKE: {error}") from None
