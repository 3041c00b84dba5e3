"""How the code of two recorded runs differs, as far as it can be had again."""

from __future__ import annotations

from dataclasses import field

from flowrun.errors import FlowrunError
from flowrun.proof.recorded import RecordedRun
from flowrun.proof.sources import RecordedSources
from flowrun.sources.cache import SourceCache
from flowrun.sources.compare import TreeChanges, compare_trees
from flowrun.sources.source import Progress
from flowrun.stores import Stores
from flowrun.valueclass import valueclass


@valueclass
class CodeDifference:
    """What changed in the tree, or why that can't be told."""

    changes: TreeChanges = field(default_factory=TreeChanges)
    problem: str | None = None
    """A repository is gone, say; None: it could be compared."""


def compare_code(
    before: RecordedRun,
    after: RecordedRun,
    stores: Stores,
    cache: SourceCache,
    progress: Progress,
) -> CodeDifference:
    """Compare the trees of two runs, uncommitted changes and all.

    They are looked for in the cache, at their repositories, and in what was kept with the runs.
    """
    if before.source.tree is not None and before.source.tree == after.source.tree:
        return CodeDifference()
    try:
        old, new = (
            RecordedSources(run, stores.open_artifacts(run.artifact_uri), cache, progress).own()
            for run in (before, after)
        )
        return CodeDifference(compare_trees(old, new, cache))
    except FlowrunError as error:  # the rest of the runs can be compared without it
        return CodeDifference(problem=error.message)
