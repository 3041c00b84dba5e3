from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from flowrun.errors import FlowrunError
from flowrun.sources.cache import SourceCache
from flowrun.sources.resolve import resolve
from flowrun.sources.source import Source
from tests.support.repositories import VARIABLES


@dataclass
class Sources:
    """A cache in an empty folder, and what was told while it was used."""

    root: Path
    cwd: Path
    variables: Mapping[str, str]
    patience_s: float = 20.0
    told: list[str] = field(default_factory=list)

    @property
    def cache(self) -> SourceCache:
        """The cache as a new process would find it."""
        return SourceCache(self.root, self.variables, self.patience_s)

    def resolve(self, uri: str | Path, version: str | None = None) -> Source:
        return resolve(str(uri), version, cache=self.cache, cwd=self.cwd, progress=self.told.append)

    def files(self, source: Source) -> dict[str, str]:
        """Every file of the project's directory, by its path."""
        return read_files(self.cache.project_dir(source))

    def error(self, uri: str | Path, version: str | None = None) -> FlowrunError:
        """The error that resolving must end in."""
        with pytest.raises(FlowrunError) as caught:
            self.resolve(uri, version)
        return caught.value


def read_files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    home = tmp_path / "home"
    home.mkdir()
    return Sources(tmp_path / "cache", tmp_path, {**VARIABLES, "HOME": str(home)})
