"""The light client as a step has it: copied alone into a folder, run without site-packages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flowrun.tracking.light import LIGHT_MODULES

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Light:
    """A folder with the light client, and scripts that import it."""

    folder: Path

    @classmethod
    def copy(cls, folder: Path) -> Light:
        """Copy the light client's files into a folder, as the engine does."""
        for name in LIGHT_MODULES:
            target = folder / "light" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(REPOSITORY / name, target)
        return cls(folder)

    def run(
        self,
        script: str,
        variables: Mapping[str, str] | None = None,
        *path: Path,
        python: Path | str = sys.executable,
    ) -> subprocess.CompletedProcess[str]:
        """Run a script with nothing importable but the standard library, the copy and `path`."""
        entries = [str(self.folder / "light"), *map(str, path)]
        return subprocess.run(
            # -S: without site-packages, where the whole flowrun is installed.
            [python, "-S", "-W", "error", "-c", script],
            cwd=self.folder,
            env={"PYTHONPATH": os.pathsep.join(entries), "USER": "ada", **(variables or {})},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
