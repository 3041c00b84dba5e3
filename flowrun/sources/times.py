"""When a commit was made: asked of git once, and kept."""

from __future__ import annotations

from flowrun.sources.cache import SourceCache
from flowrun.sources.git import Git, GitFailedError


def commit_time_s(commit: str | None, git: Git, cache: SourceCache) -> int | None:
    """Give a commit's time in seconds since the epoch; None if nobody here knows.

    Args:
        commit: all digits; None is known to nobody.
        git: works where the commit is.
        cache: remembers, since to ask git takes as long as to begin a short step.
    """
    if commit is None:
        return None
    known = cache.folder("times") / commit
    try:
        return int(known.read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        pass
    try:
        answer = git.text("show", "--no-patch", "--no-show-signature", "--format=%ct", commit)
        time_s = int(answer.strip())
    except (GitFailedError, ValueError):
        return None
    known.write_text(str(time_s), encoding="ascii")  # equal, whoever else writes it
    return time_s
