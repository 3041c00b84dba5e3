"""Progress of `git fetch` as lines for people. Loaded when something is fetched and watched.

GitPython knows how git reports progress; importing it takes as long as 20 git commands, which is
why nothing else here does.
"""

from __future__ import annotations

from collections.abc import Callable

from git import RemoteProgress

from flowrun.sources.source import Progress

_WORTH_TELLING = 1000
_STAGES = {
    RemoteProgress.COUNTING: "counting objects",
    RemoteProgress.COMPRESSING: "compressing objects",
    RemoteProgress.RECEIVING: "receiving objects",
    RemoteProgress.RESOLVING: "resolving deltas",
}


class _Stages(RemoteProgress):
    """Tells each stage that takes a while once for every tenth of it that is done."""

    def __init__(self, progress: Progress, what: str) -> None:
        super().__init__()
        self._progress = progress
        self._what = what
        self._told = (0, -1)

    def update(
        self,
        op_code: int,
        cur_count: str | float,
        max_count: str | float | None = None,
        message: str = "",
    ) -> None:
        """Called by GitPython for each line that git draws."""
        stage = op_code & self.OP_MASK
        if stage not in _STAGES or float(max_count or 0) < _WORTH_TELLING:
            return
        percent = int(100 * float(cur_count) / float(max_count or 1))
        if self._told >= (stage, percent // 10):
            return
        self._told = (stage, percent // 10)
        amount = f", {message.strip(', ')}" if message else ""
        self._progress(f"{self._what}: {_STAGES[stage]} {percent}%{amount}")


def line_reader(progress: Progress, what: str) -> Callable[[str], None]:
    """What takes git's lines of standard error, and tells `progress` about `what`."""
    handler: Callable[[str], None] = _Stages(progress, what).new_message_handler()
    return handler
