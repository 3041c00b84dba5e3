"""The files of a project, as git lists them."""

from __future__ import annotations

from flowrun.sources.cache import SourceCache
from flowrun.sources.repository import Repository, TreeEntry
from flowrun.sources.source import Source


def tree_files(cache: SourceCache, source: Source) -> list[TreeEntry]:
    """Return all files of a source's tree, the project's and those beside it."""
    return repository_of(cache, source).entries(source.tree)


def has_tree(cache: SourceCache, source: Source, tree: str) -> bool:
    """Tell whether the repository of a source holds another tree as well."""
    return repository_of(cache, source).git.asked("cat-file", "-t", tree) == "tree"


def repository_of(cache: SourceCache, source: Source) -> Repository:
    """Return the bare repository that holds a source's tree."""
    return Repository(source.repository, cache.git.on(source.repository))
