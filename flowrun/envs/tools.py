"""The programs that make environments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from flowrun.valueclass import valueclass


@valueclass
class Tools:
    """The programs that make environments, and their variables."""

    find_uv: Callable[[], str]
    uv_variables: Mapping[str, str]
    caller_variables: Mapping[str, str]
    memos: Path

    def uv(self, *words: str | Path) -> list[str | Path]:
        """Return the command line of one uv command."""
        return [self.find_uv(), *words]
