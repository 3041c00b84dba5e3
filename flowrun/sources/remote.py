"""A git repository and a version -> Source: what a version means, and what it means offline."""

from __future__ import annotations

from flowrun.errors import SourceError, UnreachableError
from flowrun.settings import is_offline
from flowrun.sources.cache import SourceCache
from flowrun.sources.origin import Origin, commits_beginning, last_seen, remember
from flowrun.sources.refs import (
    FoundRef,
    RemoteRefs,
    check_version,
    is_full_commit,
    is_short_commit,
)
from flowrun.sources.source import Progress, Source, SourceKind, silent
from flowrun.sources.submodules import is_kept, whole_tree
from flowrun.sources.times import commit_time_s
from flowrun.sources.uri import GitUri, PageUri


def resolve_git(uri: GitUri, version: str | None, cache: SourceCache, progress: Progress) -> Source:
    """The tree of a version of a repository; a full commit that is there needs no network.

    Raises:
        SourceError: there is no such repository or version.
        UnreachableError: there is no answer, and the version may have moved since the last one.
    """
    version = None if version is None else check_version(version)
    origin = Origin(uri, cache, progress)
    if version and is_full_commit(version):
        return _source(origin, FoundRef("", version), version)
    try:
        refs = origin.refs()
    except UnreachableError as error:
        if is_offline(cache.variables) and (seen := last_seen(origin.repository(""), version)):
            progress(f"{origin.url}: {version or 'HEAD'} is taken as last seen, commit {seen}")
            return _source(origin, FoundRef("", seen), version)
        return _offline(origin, version, error)
    found = refs.find(version) or _unnamed(origin, refs, version)
    source = _source(origin, found, version)
    remember(origin.repository(found.commit), version, found)
    return source


def resolve_page(
    page: PageUri, version: str | None, cache: SourceCache, progress: Progress
) -> Source:
    """The tree that a page of a git host's web site shows.

    Raises:
        SourceError: the page's ref is none, or another version was asked for as well.
        UnreachableError: there is no answer.
    """
    shown = "/".join(page.parts)
    if version:
        raise SourceError(
            f"{page.repository.url}: the address names a version itself ({shown}), and so does "
            f"-v {version}",
            "Give one of them.",
        )
    origin = Origin(page.repository, cache, progress)
    if is_full_commit(page.parts[0]):
        version, path = page.parts[0], page.parts[1:]
    else:
        version, path = _split_page(origin, page)
    folder = path[:-1] if page.is_file else path
    if page.is_file and path[-1:] and path[-1].lower() != "mlproject":
        raise SourceError(
            f"{page.repository.url}: {'/'.join(path)} is a file, not a project",
            "Give the address of the project's folder.",
        )
    uri = GitUri(page.repository.url, "/".join(folder), page.repository.credentials)
    return resolve_git(uri, version, cache, progress)


def resolve_gone(uri: GitUri, version: str | None, cache: SourceCache, gone: SourceError) -> Source:
    """The tree of a version of a repository that was on this disk when it was fetched.

    Raises:
        SourceError: `gone`, with what can be had nevertheless.
    """
    if not cache.has_repository(uri.url):
        raise gone
    origin = Origin(uri, cache, silent)
    if version and is_full_commit(version) and is_kept(origin.repository(version), version):
        return _source(origin, FoundRef("", version), version)
    return _offline(origin, version, gone)


def _split_page(origin: Origin, page: PageUri) -> tuple[str, tuple[str, ...]]:
    """Tell the ref, which may hold slashes, from the path behind it: the longest ref wins."""
    refs = origin.refs()
    for length in range(len(page.parts), 0, -1):
        version = "/".join(page.parts[:length])
        if refs.find(version):
            return version, page.parts[length:]
    if is_short_commit(page.parts[0]):
        return page.parts[0], page.parts[1:]
    raise _unknown(origin, refs, page.parts[0])


def _unnamed(origin: Origin, refs: RemoteRefs, version: str | None) -> FoundRef:
    """What a version that is no ref's name means: the beginning of a commit's id, or nothing."""
    if version is None or version == "HEAD":
        raise SourceError(
            f"{origin.url}: the repository has no default branch"
            + ("" if refs.commits else ", and no commits")
        )
    if not is_short_commit(version):
        raise _unknown(origin, refs, version)
    found = origin.commits_beginning(version)
    if not found:
        raise _unknown(origin, refs, version)
    return FoundRef("", _only(origin, version, found))


def _offline(origin: Origin, version: str | None, error: UnreachableError | SourceError) -> Source:
    """The beginning of a commit's id still means the same; what a branch means may have changed."""
    repository = origin.repository("")
    commit = last_seen(repository, version)
    if version and is_short_commit(version):
        found = commits_beginning(repository, version)
        if commit in found:
            return _source(origin, FoundRef("", _only(origin, version, found)), version)
    if commit is None:
        raise error
    raise type(error)(
        error.message,
        f"When last asked, {version or 'HEAD'} was commit {commit}; -v {commit} works without "
        "the network.",
    ) from error


def _only(origin: Origin, version: str, commits: list[str]) -> str:
    if len(commits) == 1:
        return commits[0]
    shown = ", ".join(sorted(commits)[:3])
    raise SourceError(
        f"git: commit {version} is ambiguous in {origin.url}: it may be {shown}",
        "Give more digits.",
    )


def _unknown(origin: Origin, refs: RemoteRefs, version: str) -> SourceError:
    kinds = "branch, tag or commit" if is_short_commit(version) else "branch or tag"
    near = " or ".join(repr(name) for name in refs.nearest(version))
    hint = f"Did you mean {near}?" if near else f"See them with: git ls-remote {origin.url}"
    return SourceError(f"{origin.url}: there is no {kinds} {version!r}", hint)


def _source(origin: Origin, found: FoundRef, version: str | None) -> Source:
    subdir = origin.uri.subdir
    tree = whole_tree(origin, found.commit, found.name or None)
    repository = origin.repository(found.commit)
    return Source(
        kind=SourceKind.GIT,
        uri=origin.url + (f"#{subdir}" if subdir else ""),
        repository=repository.path,
        tree=tree,
        subdir=subdir,
        commit=found.commit,
        repo_url=origin.url,
        ref=version,
        branch=found.branch,
        commit_time_s=commit_time_s(found.commit, repository.git, origin.cache),
    )
