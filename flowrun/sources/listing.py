"""The files of a project, as git lists them."""

from __future__ import annotations

from flowrun.sources.cache import SourceCache
from flowrun.sources.repository import Repository, TreeEntry
from flowrun.sources.source import Source


def tree_files(cache: SourceCache, source: Source) -> list[TreeEntry]:
    """Return all files of a source's tree, the project's and those beside it.

    Raises:
        GitFailedError: the repository does not hold the tree.
    """
    return Repository(source.repository, cache.git.on(source.repository)).entries(source.tree)
