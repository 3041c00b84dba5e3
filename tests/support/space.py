"""A folder for one test: projects in it, a flowrun home of its own, and the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.repositories import Repository

TIMEOUT_S = 300


@dataclass(frozen=True)
class Done:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """Everything it printed."""
        return self.out + self.err

    def json(self) -> Any:  # noqa: ANN401 - whatever the command printed
        """Its standard output as JSON."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Space:
    """A folder with `flowrun` in it."""

    path: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        """The flowrun home of this space."""
        return self.path / "flowrun-home"

    def write(self, files: Mapping[str, str | bytes]) -> Path:
        """Write files, their folders made; give the space's folder."""
        for name, content in files.items():
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return self.path

    def read(self, name: str) -> str:
        """Read a file."""
        return (self.path / name).read_text()

    def repository(self, name: str, files: Mapping[str, str | bytes]) -> Repository:
        """Make a git repository with one commit."""
        return Repository.make(self.path / name, files)

    def environment(self, **variables: str) -> dict[str, str]:
        """Give the environment in which commands run."""
        return {**os.environ, "FLOWRUN_HOME": str(self.home), **self.variables, **variables}

    def flowrun(self, *words: str | Path, code: int | None = 0, **variables: str) -> Done:
        """Run flowrun to its end; fail if its exit code is another one (None: any is fine)."""
        process = self.start(*words, **variables)
        out, err = process.communicate(timeout=TIMEOUT_S)
        done = Done(process.returncode, out, err)
        if code is not None and done.code != code:
            shown = " ".join(map(str, words))
            raise AssertionError(f"flowrun {shown}: exit code {done.code}\n{done.text}")
        return done

    def start(self, *words: str | Path, **variables: str) -> subprocess.Popen[str]:
        """Start flowrun, in a session of its own as a shell would."""
        return subprocess.Popen(
            [sys.executable, "-m", "flowrun", *map(str, words)],
            cwd=self.path,
            env=self.environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def runs(self, *words: str) -> list[dict[str, Any]]:
        """Give all recorded runs, steps' included, newest first."""
        shown = self.flowrun("runs", "list", "--steps", "--limit", "1000", "--json", *words)
        found: list[dict[str, Any]] = shown.json()
        return found

    def run_of(self, step: str) -> dict[str, Any]:
        """Give the newest run of a step."""
        return next(run for run in self.runs() if run["tags"].get("flowrun.step") == step)


def interrupt(process: subprocess.Popen[str], number: int = signal.SIGINT) -> None:
    """Send a signal to flowrun alone."""
    process.send_signal(number)
