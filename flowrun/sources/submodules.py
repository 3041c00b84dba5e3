"""Submodules: a commit's tree with the repositories that it links to filled in as folders."""

from __future__ import annotations

from pathlib import Path

from flowrun.errors import SourceError
from flowrun.sources.origin import Origin
from flowrun.sources.repository import Repository, TreeEntry, grafted
from flowrun.sources.uri import submodule_uri

_DEPTH_LIMIT = 10


def whole_tree(origin: Origin, commit: str, ref: str | None = None, depth: int = 0) -> str:
    """The tree of a commit with all its submodules, fetched if needed and kept for ever.

    What was once made whole is found again without the network.

    Args:
        origin: where the commit is.
        commit: all digits.
        ref: the full name of a ref that had this commit a moment ago.
        depth: how many repositories this one lies in.

    Raises:
        SourceError: there is no such commit, or a submodule can't be had.
        UnreachableError: there is no answer.
    """
    pin = _pin(commit)
    repository = origin.repository(commit)
    known = repository.find(pin)
    if known is not None:
        return known
    origin.fetch(commit, ref)
    tree = repository.find(f"{commit}^{{tree}}") or commit
    entries = repository.entries(tree)
    if any(entry.is_submodule for entry in entries):
        tree = repository.write_tree(_filled_in(origin, repository, tree, entries, depth))
    repository.pin(pin, tree)
    return tree


def is_kept(repository: Repository, commit: str) -> bool:
    """Whether this commit can be had without asking anybody."""
    return repository.find(_pin(commit)) is not None


def _pin(commit: str) -> str:
    return f"refs/flowrun/whole/{commit}"


def _filled_in(
    origin: Origin, repository: Repository, tree: str, entries: list[TreeEntry], depth: int
) -> list[TreeEntry]:
    if depth == _DEPTH_LIMIT:
        raise SourceError(f"{origin.url}: submodules lie more than {_DEPTH_LIMIT} deep")
    urls = _urls(repository, tree)
    filled = [entry for entry in entries if not entry.is_submodule]
    for entry in entries:
        if entry.is_submodule and entry.path in urls:
            inner = _inner_tree(origin, repository, entry, urls[entry.path], depth)
            filled += grafted(entry.path, repository.entries(inner))
        elif entry.is_submodule:
            origin.progress(f"{origin.url}: submodule {entry.path} has no URL, and is left out")
    return filled


def _inner_tree(
    origin: Origin, repository: Repository, entry: TreeEntry, url: str, depth: int
) -> str:
    """Fetch a submodule by way of its own origin's cache, and have its tree in this repository."""
    inner = Origin(submodule_uri(origin.uri, url), origin.cache, origin.progress)
    try:
        tree = whole_tree(inner, entry.oid, depth=depth + 1)
    except SourceError as error:
        raise SourceError(f"submodule {entry.path}: {error.message}", error.hint) from error
    kept = Path(inner.repository(entry.oid).path).as_uri()
    repository.git.run(
        *("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", kept),
        f"+{_pin(entry.oid)}:refs/flowrun/submodules/{entry.oid}",
    )
    return tree


def _urls(repository: Repository, tree: str) -> dict[str, str]:
    """Path to URL of the submodules that .gitmodules names."""
    if repository.find(f"{tree}:.gitmodules") is None:
        return {}
    listing = repository.git.asked(
        *("config", "-z", "--blob", f"{tree}:.gitmodules"),
        *("--get-regexp", r"^submodule\..*\.(path|url)$"),
    )
    facts: dict[str, dict[str, str]] = {}
    for row in (listing or "").split("\0"):
        key, _, value = row.partition("\n")
        name, _, field = key.rpartition(".")
        facts.setdefault(name, {})[field] = value
    return {fact["path"]: fact["url"] for fact in facts.values() if {"path", "url"} <= set(fact)}
