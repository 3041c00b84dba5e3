"""PostgreSQL's errors in plain words.

Source: https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from __future__ import annotations

import re

import psycopg

from flowrun.errors import FlowrunError, InvalidValueError, StoreError, StoreUnavailableError

_NOTHING_WRITTEN = "Try again; nothing was written."
_UNAVAILABLE = {
    "40001": ("another writer was in the way", _NOTHING_WRITTEN),
    "40P01": ("another writer was in the way", _NOTHING_WRITTEN),
    "53200": ("its server is out of memory", _NOTHING_WRITTEN),
    "57P01": ("its server was stopped", _NOTHING_WRITTEN),
    "57P02": ("its server crashed", _NOTHING_WRITTEN),
    "57P05": ("its server closed an idle connection", _NOTHING_WRITTEN),
}
_STAYS_SO = {
    "25006": ("it can't be written to: it is a standby, or read-only", "Give the primary server."),
    "42501": ("access is denied", "Grant this user the rights to the store's tables."),
    "53100": ("the disk of its server is full", "Free some space; nothing was half written."),
    "55P03": (
        "another client keeps it locked",
        "Try again once it is done; nothing was written.",
    ),
}
_UNFIT = {
    "22003": "a number does not fit into its column",
    "2201B": "the pattern of an RLIKE is not one that PostgreSQL understands",
    "22021": "a text holds a NUL character, which no store keeps",
    "22P05": "a text holds a character that the database can't keep",
    "54000": "a text is too long to be looked up by: its index takes 2,700 bytes",
}
# As the server words it in English; in another language such a problem only looks like a short one.
_REFUSED = re.compile(
    r"authentication failed|does not exist|no password supplied|no pg_hba\.conf|permission denied"
    r"|is not permitted|invalid (port|connection|integer|URI|sslmode)|does not support SSL",
    re.IGNORECASE,
)


def plain_error(uri: str, error: psycopg.Error, *, is_ending: bool) -> FlowrunError:
    """Give the words for an error in a transaction.

    Args:
        uri: the store's, without a password.
        error: of the driver or the server.
        is_ending: it came at the commit, so that it may have been kept.
    """
    code = error.sqlstate
    if code in _UNFIT:
        return InvalidValueError(_UNFIT[code])
    if code in _STAYS_SO:
        return StoreError(f"store {uri}: {_STAYS_SO[code][0]}", _STAYS_SO[code][1])
    if code in _UNAVAILABLE:
        return StoreUnavailableError(f"store {uri}: {_UNAVAILABLE[code][0]}", _UNAVAILABLE[code][1])
    if code is None and isinstance(error, psycopg.DataError):
        # The driver's own refusals, before anything is sent.
        return InvalidValueError("a text holds a NUL character, which no store keeps")
    if code is None and isinstance(error, psycopg.OperationalError):
        known = "Whether the last change was kept is not known." if is_ending else _NOTHING_WRITTEN
        return StoreUnavailableError(f"store {uri}: the connection to its server broke", known)
    return StoreError(f"store {uri}: {_first_line(error)}")


def connect_error(uri: str, error: psycopg.Error) -> StoreError:
    """Give the words for a server that does not let us in, or is not there."""
    reason = _reason(error)
    if "too many clients" in reason or "remaining connection slots" in reason:
        return StoreUnavailableError(
            f"store {uri}: its server has no connection left",
            "Raise its max_connections, or run fewer servers on it.",
        )
    if _REFUSED.search(reason):
        return StoreError(
            f"store {uri}: {reason}", "Check the URI: user, password, host, port, database."
        )
    return StoreUnavailableError(
        f"store {uri}: {reason}", "Check that the PostgreSQL server runs and can be reached."
    )


def _reason(error: psycopg.Error) -> str:
    """Give what went wrong without libpq's preface, which names the host once more."""
    line = _first_line(error)
    return re.split(r"(?:failed: |FATAL:\s+)+", line)[-1].strip()


def _first_line(error: psycopg.Error) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
