"""What git says of a directory of the user's: only read, never changed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from flowrun.errors import SourceError
from flowrun.sources.credentials import without_credentials
from flowrun.sources.git import Git, GitFailedError
from flowrun.valueclass import valueclass

_QUESTIONS = (
    "--path-format=absolute",
    "--show-toplevel",
    "--git-path",
    "objects",
    "--git-path",
    "info/exclude",
    "--show-prefix",
    "HEAD",
    "HEAD^{tree}",
    "--symbolic-full-name",
    "HEAD",
)


@valueclass
class Checkout:
    """A work tree of a git repository, and what is checked out in it."""

    top: Path
    objects: Path
    exclude: Path
    """The list of ignored files that is this repository's own; need not exist."""
    prefix: str
    """The directory that was asked about, relative to `top`; '' for `top` itself."""
    commit: str | None = None
    tree: str | None = None
    branch: str | None = None


def find_checkout(git: Git, directory: Path) -> Checkout | None:
    """The checkout that a directory lies in; None for one without git.

    Raises:
        SourceError: git refuses to look into it, because it belongs to another user.
    """
    try:
        answers = git.inside(directory).text("rev-parse", *_QUESTIONS).split("\n")
    except GitFailedError as failed:
        if "not a git repository" in failed.stderr or "in a work tree" in failed.stderr:
            return None
        if "dubious ownership" in failed.stderr:
            raise SourceError(
                f"{directory}: this git repository belongs to another user",
                f"If you trust it: git config --global --add safe.directory {directory}",
            ) from failed
        if "ambiguous argument 'HEAD'" not in failed.stderr:
            raise
        return _without_commit(git, directory)
    top, objects, exclude, prefix, commit, tree, branch = answers
    return Checkout(
        top=Path(top),
        objects=Path(objects),
        exclude=Path(exclude),
        prefix=prefix.rstrip("/"),
        commit=commit,
        tree=tree,
        branch=branch.removeprefix("refs/heads/") if branch != "HEAD" else None,
    )


def _without_commit(git: Git, directory: Path) -> Checkout:
    text = git.inside(directory).text("rev-parse", *_QUESTIONS[: _QUESTIONS.index("HEAD")])
    top, objects, exclude, prefix = text.split("\n")
    return Checkout(Path(top), Path(objects), Path(exclude), prefix.rstrip("/"))


def origin_url(git: Git, directory: Path) -> str | None:
    """The address of `origin`, or else of the first remote, without credentials."""
    listing = git.inside(directory).asked("config", "-z", "--get-regexp", r"^remote\..*\.url$")
    urls: dict[str, str] = {}
    for row in (listing or "").split("\0"):
        name, _, url = row.partition("\n")
        urls.setdefault(name, url)
    urls.pop("", None)
    first = urls.get("remote.origin.url") or next(iter(urls.values()), None)
    return without_credentials(first) if first else None


def is_bare_repository(path: Path) -> bool:
    """Whether this directory is itself a git repository without a work tree."""
    return all((path / name).exists() for name in ("HEAD", "objects", "refs"))


def is_protected(directory: Path, variables: Mapping[str, str]) -> bool:
    """Whether this is the home folder or the root of the machine: never a project as a whole."""
    home = variables.get("HOME")
    return str(directory) in {"/", os.path.realpath(home) if home else "/"}
