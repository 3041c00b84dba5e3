"""Project URI and version -> Source: the entry to this package."""

from __future__ import annotations

import os
from pathlib import Path

from flowrun.errors import SourceError
from flowrun.sources.cache import SourceCache
from flowrun.sources.checkout import (
    Checkout,
    find_checkout,
    is_bare_repository,
    is_protected,
    origin_url,
)
from flowrun.sources.snapshot import take_snapshot
from flowrun.sources.source import Progress, Source, SourceKind, silent
from flowrun.sources.uri import GitUri, LocalUri, PageUri, ZipUri, parse_uri


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
        case _:
            raise SourceError(f"{uri}: not yet")
    cache.project_dir(source)
    return source


def _local(uri: LocalUri, version: str | None, cache: SourceCache, progress: Progress) -> Source:
    path = Path(os.path.realpath(uri.path))
    if not path.is_dir():
        raise SourceError(f"{path}: no such file or directory")
    return _directory(path, uri.subdir, cache, progress)


def _directory(path: Path, subdir: str, cache: SourceCache, progress: Progress) -> Source:
    checkout = find_checkout(cache.git, path)
    if checkout and is_protected(checkout.top, cache.variables):
        checkout = None
    if checkout is None and is_protected(path, cache.variables):
        raise SourceError(f"{path}: this is no project, but everything that you have")
    source = _snapshot(path, subdir, checkout, cache, progress)
    return source


def _snapshot(
    path: Path, subdir: str, checkout: Checkout | None, cache: SourceCache, progress: Progress
) -> Source:
    top = checkout.top if checkout else path
    hash_name = "sha256" if checkout and checkout.tree and len(checkout.tree) == 64 else "sha1"
    repository = cache.repository(f"snapshot of {top}", str(top), hash_name)
    with cache.lock(repository, progress, str(top)):
        found = take_snapshot(top, checkout, repository, cache.git, progress)
    prefix = checkout.prefix if checkout else ""
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
        directory=path / subdir,
    )
