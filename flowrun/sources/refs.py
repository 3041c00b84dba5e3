"""Versions: what `-v` may say, and what it means among the refs of a repository."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping

from flowrun.errors import SourceError
from flowrun.valueclass import valueclass

_FULL_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHORT_COMMIT = re.compile(r"[0-9a-f]{4,63}")
_EXPRESSION = re.compile(r"[~^:]|@\{|\.\.|^@$")
_REFUSED = re.compile(r"[\x00-\x20\x7f\\?*\[]|^[-/]|[/.]$|//|/\.|^\.|\.lock(/|$)")


@valueclass
class FoundRef:
    """A ref by its full name, and the commit it means; annotated tags are looked through."""

    name: str
    commit: str

    @property
    def branch(self) -> str | None:
        """The name of the branch, if it is one."""
        return self.name.removeprefix("refs/heads/") if self.is_branch else None

    @property
    def is_branch(self) -> bool:
        """Whether this is a branch."""
        return self.name.startswith("refs/heads/")


@valueclass
class RemoteRefs:
    """The refs that a repository shows."""

    commits: Mapping[str, str]
    """Full name to commit."""
    default: str | None
    """The full name of the branch that HEAD is on."""

    def find(self, version: str | None) -> FoundRef | None:
        """What a version means; None if no ref has this name.

        A branch goes before a tag of the same name, as for `git switch`.
        """
        if version is None or version == "HEAD":
            name = "HEAD" if self.default is None else self.default
            commit = self.commits.get(name, self.commits.get("HEAD"))
            return FoundRef(name, commit) if commit else None
        places = ("", "refs/") if version.startswith("refs/") else _PLACES
        names = (place + version for place in places)
        return next((FoundRef(n, self.commits[n]) for n in names if n in self.commits), None)

    def nearest(self, version: str) -> list[str]:
        """Up to three branches or tags whose names are like this one."""
        names = {name.split("/", 2)[2] for name in self.commits if name.startswith(_SHOWN)}
        return difflib.get_close_matches(version, sorted(names), n=3, cutoff=0.5)


_PLACES = ("refs/heads/", "refs/tags/", "refs/", "refs/remotes/")
_SHOWN = ("refs/heads/", "refs/tags/")


def check_version(version: str) -> str:
    """The version as it may be given to git and searched for.

    Raises:
        SourceError: it is an expression, or can't be the name of anything.
    """
    hint = "Name a branch, a tag, a commit or refs/...."
    if _EXPRESSION.search(version):
        raise SourceError(f"version {version!r} is one of git's expressions, not a name", hint)
    if not version or _REFUSED.search(version):
        raise SourceError(f"version {version!r} can't be the name of a version", hint)
    return version.lower() if is_full_commit(version.lower()) else version


def is_full_commit(version: str) -> bool:
    """Whether this is a whole commit id."""
    return _FULL_COMMIT.fullmatch(version) is not None


def is_short_commit(version: str) -> bool:
    """Whether this may be the beginning of a commit id."""
    return _SHORT_COMMIT.fullmatch(version) is not None


def read_refs(listing: str) -> RemoteRefs:
    """The refs of `git ls-remote --symref`.

    Source: git-ls-remote(1); `name^{}` lines give the commit that an annotated tag is for.
    """
    commits: dict[str, str] = {}
    default = None
    for line in listing.splitlines():
        value, _, name = line.partition("\t")
        if value.startswith("ref: ") and name == "HEAD":
            default = value.removeprefix("ref: ")
        elif name:
            commits[name.removesuffix("^{}")] = value
    return RemoteRefs(commits, default)
