"""The files of a tree, as git lists them."""

from __future__ import annotations

import os
from dataclasses import replace

from flowrun.sources.cache import SourceCache
from flowrun.sources.git import GitFailedError
from flowrun.sources.repository import Repository, TreeEntry
from flowrun.sources.source import Source


def tree_files(cache: SourceCache, source: Source) -> list[TreeEntry]:
    """Return all files of a source's tree, the project's and those beside it.

    Raises:
        GitFailedError: no repository in the cache holds the tree.
    """
    git = cache.git.on(source.repository)
    try:
        return Repository(source.repository, git).entries(source.tree)
    except GitFailedError:
        # A local directory's trees are kept apart from those that were fetched from its remote.
        others = (each / "objects" for each in cache.folder("repositories").iterdir())
        borrowed = os.pathsep.join(str(each) for each in others if each.is_dir())
        variables = {**git.variables, "GIT_ALTERNATE_OBJECT_DIRECTORIES": borrowed}
        anywhere = replace(git, variables=variables)
        return Repository(source.repository, anywhere).entries(source.tree)
