"""What git says when a host or a repository fails it, in words that say what to do."""

from __future__ import annotations

import re

from flowrun.errors import FlowrunError, SourceError, StoreError, UnreachableError
from flowrun.sources.git import GitFailedError
from flowrun.valueclass import valueclass

_LOGIN = (
    "flowrun uses what your own git uses: try `git ls-remote {url}`. "
    "A private repository needs an ssh key, a credential helper or https://USER:TOKEN@...."
)


@valueclass
class _Reason:
    pattern: re.Pattern[str]
    error: type[FlowrunError]
    text: str
    hint: str | None = None


def _reason(pattern: str, error: type[FlowrunError], text: str, hint: str | None = None) -> _Reason:
    return _Reason(re.compile(pattern, re.IGNORECASE), error, text, hint)


# Git's own texts (LC_ALL=C), those of curl and ssh in it, and of the common hosts. The first that
# is found decides: a login comes before "not found", because hosts hide what is private.
_REASONS = (
    _reason(
        r"no space left|disk quota exceeded|file too large",
        StoreError,
        "the disk is full",
        "Make room there, or let flowrun keep its cache elsewhere.",
    ),
    _reason(
        r"authentication failed|could not read (username|password)|terminal prompts disabled"
        r"|permission denied|invalid credentials|returned error: 40[13]|access denied",
        UnreachableError,
        "the host asks for a login, and lets nobody in without",
        _LOGIN,
    ),
    _reason(
        r"host key verification failed",
        UnreachableError,
        "ssh does not know the key of this host",
        "Connect to it once with ssh, and check its key.",
    ),
    _reason(
        r"could not resolve (host|proxy)|name or service not known|temporary failure in name"
        r"|unable to look up",
        UnreachableError,
        "there is no host of this name, or no network",
    ),
    _reason(r"connection refused", UnreachableError, "the host refuses to talk on this port"),
    _reason(
        r"timed out|network is unreachable|no route to host|failed to connect"
        r"|couldn't connect|operation too slow|returned error: (5\d\d|429)",
        UnreachableError,
        "the host does not answer",
    ),
    _reason(
        r"ssl certificate|certificate verif|tls|ssl_",
        UnreachableError,
        "no safe connection could be made",
    ),
    _reason(r"dubious ownership", SourceError, "this git repository belongs to another user"),
    _reason(
        r"not found|does not exist|does not appear to be a git repository"
        r"|not a git repository|not valid: is this a git repository|access denied or repository",
        SourceError,
        "there is no git repository here",
        "Check the address; it must be one that `git clone` takes.",
    ),
    _reason(
        r"protocol .* not supported|transport '.*' not allowed|unable to find remote helper",
        SourceError,
        "git does not fetch by this protocol",
    ),
    _reason(
        r"unexpected disconnect|early eof|hung up unexpectedly|connection reset|rpc failed"
        r"|could not read from remote",
        UnreachableError,
        "the connection broke",
        "Run it again.",
    ),
)


def explained(url: str, failed: GitFailedError) -> FlowrunError:
    """The error to raise for a git command that talked to `url`."""
    said = _last_words(failed.stderr)
    for reason in _REASONS:
        if reason.pattern.search(failed.stderr):
            hint = reason.hint.format(url=url) if reason.hint else None
            return reason.error(f"{url}: {reason.text} ({said})", hint)
    return UnreachableError(f"{url}: git failed: {said}")


def _last_words(stderr: str) -> str:
    """The line that says why: the last that git itself marks, or else the last."""
    lines = [line.strip() for line in re.split(r"[\r\n]+", stderr) if line.strip()]
    marked = [line for line in lines if line.startswith(("fatal:", "error:", "remote:"))]
    return (marked or lines or ["it did not say why"])[-1]
