from __future__ import annotations

import pytest

from flowrun.errors import FlowrunError, SourceError, StoreError, UnreachableError
from flowrun.sources.failures import explained
from flowrun.sources.git import GitFailedError

URL = "https://host/o/r"

SAID: dict[str, tuple[str, type[FlowrunError], str]] = {
    "no such host": (
        "fatal: unable to access 'https://host/o/r/': Could not resolve host: host",
        UnreachableError,
        "there is no host of this name, or no network",
    ),
    "no such host, ssh": (
        "ssh: Could not resolve hostname host: Name or service not known\n"
        "fatal: Could not read from remote repository.",
        UnreachableError,
        "there is no host of this name, or no network",
    ),
    "time": (
        "ssh: connect to host host port 22: Connection timed out\n"
        "fatal: Could not read from remote repository.",
        UnreachableError,
        "the host does not answer",
    ),
    "overloaded": (
        "fatal: unable to access 'https://host/o/r/': The requested URL returned error: 503",
        UnreachableError,
        "the host does not answer",
    ),
    "login": (
        "fatal: could not read Username for 'https://host': terminal prompts disabled",
        UnreachableError,
        "the host asks for a login, and lets nobody in without",
    ),
    "ssh key": (
        "git@host: Permission denied (publickey).\nfatal: Could not read from remote repository.",
        UnreachableError,
        "the host asks for a login, and lets nobody in without",
    ),
    "unknown ssh host": (
        "Host key verification failed.\nfatal: Could not read from remote repository.",
        UnreachableError,
        "ssh does not know the key of this host",
    ),
    "certificate": (
        "fatal: unable to access 'https://host/o/r/': server certificate verification failed.",
        UnreachableError,
        "no safe connection could be made",
    ),
    "not found": (
        "remote: Not Found\nfatal: repository 'https://host/o/r/' not found",
        SourceError,
        "there is no git repository here",
    ),
    "not found, GitHub by ssh": (
        "ERROR: Repository not found.\nfatal: Could not read from remote repository.",
        SourceError,
        "there is no git repository here",
    ),
    "web page": (
        "fatal: https://host/o/r/info/refs not valid: is this a git repository?",
        SourceError,
        "there is no git repository here",
    ),
    "disk": (
        "fatal: write error: No space left on device\nfatal: fetch-pack: invalid index-pack output",
        StoreError,
        "the disk is full",
    ),
    "broken": (
        "fatal: the remote end hung up unexpectedly\nfatal: early EOF",
        UnreachableError,
        "the connection broke",
    ),
}


@pytest.mark.parametrize(("stderr", "error", "text"), SAID.values(), ids=SAID.keys())
def test_git_is_understood(stderr: str, error: type[FlowrunError], text: str) -> None:
    explanation = explained(URL, GitFailedError(("fetch",), 128, stderr))
    assert type(explanation) is error
    last = [line for line in stderr.split("\n") if line.startswith(("fatal:", "remote:"))][-1]
    assert explanation.message == f"{URL}: {text} ({last})"


def test_unknown_failure_keeps_gits_words() -> None:
    explanation = explained(URL, GitFailedError(("fetch",), 128, "fatal: the moon is full"))
    assert explanation.message == f"{URL}: git failed: fatal: the moon is full"
