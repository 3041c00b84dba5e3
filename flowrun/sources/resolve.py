"""Project URI and version -> Source: the entry to this package."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import assert_never

from flowrun.errors import SourceError
from flowrun.sources.cache import SourceCache
from flowrun.sources.checkout import (
    Checkout,
    find_checkout,
    is_bare_repository,
    is_protected,
    origin_url,
)
from flowrun.sources.remote import resolve_git, resolve_gone, resolve_page
from flowrun.sources.snapshot import take_snapshot
from flowrun.sources.source import Progress, Source, SourceKind, silent
from flowrun.sources.times import commit_time_s
from flowrun.sources.uri import GitUri, LocalUri, PageUri, ZipUri, parse_uri

ZipResolver = Callable[[LocalUri | ZipUri, SourceCache, Progress], Source]


def resolve(
    uri: str,
    version: str | None = None,
    *,
    cache: SourceCache,
    cwd: Path,
    progress: Progress | None = None,
) -> Source:
    """Find out which exact tree a project is, and have it in the cache.

    Args:
        uri: a git URL, a path or a zip file, with `#subdir` for a project that is not at the top,
            or the address of a folder's page on a git host.
        version: a branch, tag, commit (at least 4 digits) or `refs/...`; by default a local
            directory is taken as it is on disk, and a repository at its HEAD.
        cache: keeps what is fetched.
        cwd: what a relative path starts from.
        progress: told what takes time.

    Raises:
        SourceError: the URI or version names nothing, or something that is not allowed.
        UnreachableError: the host does not answer or lets nobody in, or there is no git.
        StoreError: the cache can't be written.
    """
    told = progress or silent
    found = parse_uri(uri, cwd)
    match found:
        case LocalUri():
            source = _local(found, version, cache, told)
        case GitUri():
            source = resolve_git(found, version, cache, told)
        case PageUri():
            source = resolve_page(found, version, cache, told)
        case ZipUri():
            source = _zip(found, version, cache, told)
        case _:
            assert_never(found)
    cache.project_dir(source)
    if source.kind is SourceKind.GIT:
        _tell_of_large_files(source, cache, told)
    return source


def _local(uri: LocalUri, version: str | None, cache: SourceCache, progress: Progress) -> Source:
    path = Path(os.path.realpath(uri.path))
    if path.is_file() and path.suffix.lower() == ".zip":
        return _zip(LocalUri(path, uri.subdir), version, cache, progress)
    if not path.is_dir():
        gone = GitUri(path.as_uri(), uri.subdir)
        return resolve_gone(gone, version, cache, _missing(path))
    if is_bare_repository(path):
        return resolve_git(GitUri(path.as_uri(), uri.subdir), version, cache, progress)
    checkout = find_checkout(cache.git, path)
    if checkout and is_protected(checkout.top, cache.variables):
        checkout = None
    if version is not None:
        return _version(path, uri.subdir, checkout, version, cache, progress)
    return _as_on_disk(path, uri.subdir, checkout, cache, progress)


def _version(
    path: Path,
    subdir: str,
    checkout: Checkout | None,
    version: str,
    cache: SourceCache,
    progress: Progress,
) -> Source:
    """A version of a repository on this disk, taken from it as from any other host."""
    if checkout is None:
        raise SourceError(
            f"{path}: version {version!r} was asked for, but this directory is not in git"
        )
    below = "/".join(part for part in (checkout.prefix, subdir) if part)
    source = resolve_git(GitUri(checkout.top.as_uri(), below), version, cache, progress)
    return replace(
        source,
        uri=path.as_uri() + (f"#{subdir}" if subdir else ""),
        repo_url=origin_url(cache.git, path) or source.repo_url,
    )


def _as_on_disk(
    path: Path, subdir: str, checkout: Checkout | None, cache: SourceCache, progress: Progress
) -> Source:
    if checkout is None and is_protected(path, cache.variables):
        raise SourceError(
            f"{path}: this is everything you have, not a project",
            "Change to the project's directory, or name it.",
        )
    top = checkout.top if checkout else path
    hash_name = "sha256" if checkout and checkout.tree and len(checkout.tree) == 64 else "sha1"
    repository = cache.repository(f"snapshot of {top}", str(top), hash_name)
    with cache.lock(repository, progress, str(top)):
        found = take_snapshot(top, checkout, repository, cache.git, progress)
    prefix = checkout.prefix if checkout else ""
    if prefix and repository.find(f"{found.tree}:{prefix}") is None:
        # Its repository ignores this directory, or none of its files is to be kept there.
        return _as_on_disk(path, subdir, None, cache, progress)
    return Source(
        kind=SourceKind.LOCAL,
        uri=path.as_uri() + (f"#{subdir}" if subdir else ""),
        repository=repository.path,
        tree=found.tree,
        subdir="/".join(part for part in (prefix, subdir) if part),
        commit=checkout.commit if checkout else None,
        repo_url=origin_url(cache.git, path) if checkout else None,
        branch=checkout.branch if checkout else None,
        is_dirty=found.is_dirty,
        diff=found.diff,
        commit_time_s=commit_time_s(
            checkout.commit if checkout else None, cache.git.inside(path), cache
        ),
        directory=path / subdir,
    )


def _zip(
    uri: LocalUri | ZipUri, version: str | None, cache: SourceCache, progress: Progress
) -> Source:
    """Loaded only now: what reads zip files and the web takes longer to import than all of this."""
    read: ZipResolver = import_module("flowrun.sources.archive").resolve_zip
    if version is not None:
        raise SourceError(f"version {version!r} was asked for, but a zip file has no versions")
    return read(uri, cache, progress)


def _tell_of_large_files(source: Source, cache: SourceCache, progress: Progress) -> None:
    """Filters are commands, and Git LFS is one: its files stay the pointers that git keeps."""
    attributes = cache.project_dir(replace(source, subdir="")) / ".gitattributes"
    if attributes.is_file() and "filter=lfs" in attributes.read_text(errors="replace"):
        progress(
            f"{source.uri} keeps files in Git LFS, which flowrun does not fetch; "
            "from a local checkout it takes them as they are on disk"
        )


def _missing(path: Path) -> SourceError:
    if path.exists():
        return SourceError(
            f"{path}: this is a file",
            "A project is a directory, a git repository or a zip file; give the directory that the "
            "file is in (a script in it is run with -e FILE.py).",
        )
    folder = path.parent
    names = [each.name for each in folder.iterdir()] if folder.is_dir() else []
    near = difflib.get_close_matches(path.name, names, n=1)
    hint = f"Did you mean {folder / near[0]}?" if near else None
    return SourceError(f"{path}: no such file or directory", hint)
